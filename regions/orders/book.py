"""The orders that one gateway follows: those of its region's Redis, and its own copy while that is away.

These must stay true:
  - What is known stays in force until something later is known: not Redis's absence, nor its loss of data, nor a
    damaged copy ends an order.
  - Of all that is known in a region the same holds for every gateway: the latest revision, and of two of one revision
    the same one (regions.orders.codec.newer). Whoever knows it writes it where it is missing.
  - Every wait is bounded. Nothing here raises into the gateway but `change`.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from policies.orders import Orders
from regions.orders.codec import MAX_ORDERS_BYTES, encode_orders, newer
from regions.orders.copy import read_copy
from regions.orders.errors import OrdersError, OrdersMalformed, RevisionConflict, StoreAway, TooManyOrders
from regions.orders.reports import GatewayReport, OrderProgress, RegionGroups, summed
from regions.orders.store import version_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.orders import Order
    from regions.orders.copy import OrdersCopy
    from regions.orders.metrics import OrderMetrics
    from regions.orders.store import OrderStore

_TRIES = 5
_LISTEN_S = 0.1
_LEAVE_WITHIN_S = 0.5
_COPY_WITHIN_S = 2.0
_NOT_KNOWN = "?"
"""No version of a store reads like this."""

log = structlog.get_logger("orders")


class OrderBook:
    """One a gateway; its owner runs `run`. What the copy says is in force from the start.

    Args:
        gateway: what this process calls itself.
        store: None: there is no Redis, and this gateway's orders are its own.
        copy: None: what is known is lost with this process.
    """

    def __init__(
        self,
        *,
        gateway: str,
        store: OrderStore | None,
        copy: OrdersCopy | None,
        metrics: OrderMetrics | None = None,
        poll_ms: int = 500,
    ) -> None:
        self.gateway = gateway
        self.orders = Orders()
        """All that are known, pending and stopped ones among them."""
        self.is_store_away = False
        self.report_of: Callable[[str], GatewayReport] = lambda question: GatewayReport(answers=question)
        """Makes this gateway's report, with its sessions where a question about them is asked; must not raise."""
        self._store = store
        self._copy = copy
        self._metrics = metrics
        self._poll_ms = poll_ms
        self._version = _NOT_KNOWN
        self._question = ""
        self._is_copied = True
        self._was_malformed = False
        self._watchers: list[Callable[[Orders], None]] = []
        self._changing = asyncio.Lock()
        self._copying: asyncio.Task[None] | None = None
        self._copy_error = ""
        self._read_copy()

    @property
    def has_store(self) -> bool:
        return self._store is not None

    def watch(self, callback: Callable[[Orders], None]) -> None:
        """Hear of every change, after `orders` is the new one; it must return at once."""
        self._watchers.append(callback)

    # --- following ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                await self.look()
                await self._write_copy()
                await asyncio.sleep(self._poll_ms * random.uniform(0.9, 1.1) / 1_000)
        finally:
            if self._store is not None:
                with suppress(OrdersError, TimeoutError):
                    async with asyncio.timeout(_LEAVE_WITHIN_S):
                        await self._store.leave(self.gateway)

    async def look(self) -> None:
        """See what is in force, say how far this gateway is, and write what is known where it is missing."""
        if self._store is None:
            return
        try:
            report = self.report_of(self._question)
            seen = await self._store.look(self._version, gateway=self.gateway, report=report)
            has_new_question = seen.question not in ("", self._question)
            self._question = seen.question
            if seen.version != self._version or seen.orders is not None:
                await self._take(self._store, seen.version, seen.orders)
            if has_new_question:
                report = self.report_of(self._question)
                await self._store.look(self._version, gateway=self.gateway, report=report)
        except StoreAway as away:
            self._note_store(str(away))
        except OrdersMalformed:
            self._note_malformed()
        else:
            self._note_store("")
            self._was_malformed = False

    async def _take(self, store: OrderStore, version: str, orders: Orders | None) -> None:
        """`version` is in the store; empty, with no orders: nothing is."""
        known = self.orders
        if orders is not None:
            self._put_in_force(newer(known, orders))
        if version == version_text(self.orders) or (not version and self.orders == Orders()):
            self._version = version
            return
        put = await store.restore(self.orders)
        if put.is_written:
            log.warning("order.book_restored", revision=self.orders.revision, orders=len(self.orders.orders))
        elif put.orders is not None:
            self._put_in_force(newer(self.orders, put.orders))
        self._version = put.version

    def _put_in_force(self, orders: Orders) -> None:
        if orders == self.orders:
            return
        self.orders = orders
        self._is_copied = False
        if self._metrics is not None:
            self._metrics.revision.set(orders.revision)
        log.info("order.book_changed", revision=orders.revision, orders=len(orders.orders))
        for watcher in self._watchers:
            watcher(orders)

    def _note_store(self, why_away: str) -> None:
        is_away = bool(why_away)
        if is_away != self.is_store_away:
            self.is_store_away = is_away
            if is_away:
                log.warning("order.store_away", error=why_away)
            else:
                log.info("order.store_back")
        if self._metrics is not None:
            self._metrics.is_store_away.set(int(is_away))

    def _note_malformed(self) -> None:
        """A gateway of a later release, or a stranger, wrote what is there: it is neither followed nor written over."""
        if not self._was_malformed:
            self._was_malformed = True
            log.error("order.book_malformed")

    # --- the copy -----------------------------------------------------------------------------------------

    def _read_copy(self) -> None:
        if self._copy is None:
            return
        orders, why_not = read_copy(self._copy)
        if why_not:
            log.error("order.copy_unusable", error=why_not)
        if orders is not None:
            self.orders = orders
            if self._metrics is not None:
                self._metrics.revision.set(orders.revision)

    async def _write_copy(self) -> None:
        """On a thread, as a disk may take its time, and not waited for beyond it; tried again after the next look where
        it fails.
        """
        for _ in range(2):  # the write that is under way may be of orders before these
            if self._copy is None or self._is_copied:
                return
            if self._copying is None:
                self._copying = asyncio.create_task(self._copied(self._copy, self.orders))
            _, unfinished = await asyncio.wait({self._copying}, timeout=_COPY_WITHIN_S)
            if unfinished:
                self._note_copy(TimeoutError.__name__)
                return

    async def _copied(self, copy: OrdersCopy, orders: Orders) -> None:
        try:
            await asyncio.to_thread(copy.write, orders)
        except OSError as error:
            self._note_copy(type(error).__name__)
        else:
            self._is_copied = orders == self.orders
            self._copy_error = ""
        finally:
            self._copying = None

    def _note_copy(self, error: str) -> None:
        """Once, until it succeeds again."""
        if error != self._copy_error:
            self._copy_error = error
            log.error("order.copy_failed", error=error)

    # --- changing -----------------------------------------------------------------------------------------

    async def change(self, edit: Callable[[Orders], tuple[Order, ...]]) -> Orders:
        """Put other orders in force, for all gateways of the region.

        Args:
            edit: gives all that are to be there, from all that are; may be called several times, and may raise an
                error of its own: then nothing changes.

        Returns:
            What is in force here when it returns; others follow within their poll.

        Raises:
            StoreAway: Redis is; it is not known whether anything was changed.
            TooManyOrders: nothing was changed.
            RevisionConflict: others changed them each time.
            OrdersMalformed: what is there cannot be read.
        """
        async with self._changing:
            for _ in range(_TRIES):
                if self._store is not None:
                    seen = await self._store.look("", gateway=self.gateway, report=self.report_of(self._question))
                    await self._take(self._store, seen.version, seen.orders)
                wanted = edit(self.orders)
                if wanted == self.orders.orders:
                    return self.orders
                # The time, so that a copy of long ago never looks later than what was ordered after a loss.
                changed = Orders(max(self.orders.revision + 1, time.time_ns() // 1_000_000), wanted)
                if len(wanted) > len(self.orders.orders) and len(encode_orders(changed)) > MAX_ORDERS_BYTES:
                    raise TooManyOrders("withdraw some first")
                if self._store is None:
                    self._put_in_force(changed)
                    await self._write_copy()
                    return self.orders
                put = await self._store.change(changed, known_version=self._version)
                if put.is_written:
                    self._version = put.version
                    self._put_in_force(newer(self.orders, changed))
                    await self._write_copy()
                    return self.orders
        raise RevisionConflict("others changed the orders meanwhile")

    # --- what all gateways say ----------------------------------------------------------------------------

    async def progress(self) -> dict[str, OrderProgress]:
        """Of each order, by its id, on all gateways that reported in the last seconds; while Redis is away, on this
        one alone.
        """
        return summed((await self._reports()).values())

    async def groups(self, *, within_ms: int = 2_500) -> RegionGroups:
        """The live sessions of all of the region's gateways; waits so long for their answers."""
        question = uuid.uuid4().hex[:12]
        own = self.report_of(question)
        if self._store is None:
            return RegionGroups(own.groups, (self.gateway,))
        try:
            question = await self._store.ask(question)
        except StoreAway:
            return RegionGroups(own.groups, (self.gateway,), is_store_away=True)
        answers = {self.gateway: own}
        silent: tuple[str, ...] = ()
        is_store_away = False
        with suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1_000):
                while True:
                    try:
                        reports = await self._store.hear()
                    except StoreAway:
                        is_store_away = True
                        break
                    answers |= {
                        name: report
                        for name, report in reports.items()
                        if name not in answers and report.answers == question
                    }
                    silent = tuple(sorted(set(reports) - set(answers)))
                    if not silent:
                        break
                    await asyncio.sleep(_LISTEN_S)
        groups = tuple(group for report in answers.values() for group in report.groups)
        return RegionGroups(groups, tuple(sorted(answers)), silent, is_store_away)

    async def _reports(self) -> dict[str, GatewayReport]:
        own = {self.gateway: self.report_of("")}
        if self._store is None:
            return own
        try:
            return await self._store.hear() | own
        except StoreAway:
            return own
