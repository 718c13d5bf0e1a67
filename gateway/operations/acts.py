"""What operators do with orders: give, confirm, stop, resume and withdraw them, each written down.

These must stay true:
  - Every act, done or refused, is one audit event.
  - An order that would leave a jurisdiction without a region has no effect before a second person confirmed it. That is
    decided from the newest orders, in the same compare-and-set that writes them.
  - What is repeated changes nothing and says so.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from gateway.operations.audit_event import Act, AuditEvent
from gateway.operations.order_words import in_words
from gateway.operations.refusals import ActReason, ActRefused, refused
from policies.last_region import jurisdictions_emptied
from policies.orders import Order, OrderKind, OrderState, Target
from regions.orders.errors import OrdersMalformed, RevisionConflict, StoreAway, TooManyOrders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.operations.audit import AuditLog
    from gateway.operations.bodies import OrderBody
    from gateway.operations.operators import Operator
    from policies.last_region import RegionParts
    from policies.orders import Orders

PENDING_MS = 900_000
"""So long an order waits for its second person."""
_ID_BYTES = 6


class Book(Protocol):
    """What is asked of a regions.orders.book.OrderBook."""

    @property
    def orders(self) -> Orders: ...

    async def change(self, edit: Callable[[Orders], tuple[Order, ...]]) -> Orders: ...


@dataclass(frozen=True, slots=True)
class Done:
    """`outcome` as in the audit event. `emptied`: jurisdictions, or regions, that are left without a region by it."""

    outcome: str
    order: Order | None
    emptied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActParts:
    """What acts are done with.

    Attributes:
        regions: what is known of all regions now.
        digest: of the catalog in force.
        now_ms: Unix milliseconds.
        gateway: what this process calls itself.
    """

    book: Book
    audit: AuditLog
    regions: Callable[[], Mapping[str, RegionParts]]
    digest: Callable[[], str]
    now_ms: Callable[[], int]
    gateway: str

    def is_expired(self, order: Order) -> bool:
        """Whether it waited too long for its second person."""
        return order.state is OrderState.pending and self.now_ms() >= expires_at_ms(order)

    async def write(self, event: AuditEvent) -> None:
        """Put what is the same for all events into it, and keep it."""
        common: dict[str, Any] = {"at_unix_ms": self.now_ms(), "catalog_digest": self.digest(), "gateway": self.gateway}
        await self.audit.record(msgspec.structs.replace(event, **common))


def expires_at_ms(order: Order) -> int:
    """Of one that is pending; Unix milliseconds."""
    return order.given_at_unix_ms + PENDING_MS


class OrderActs:
    """Acts of one region, as one of its gateways takes them."""

    def __init__(self, parts: ActParts) -> None:
        self._parts = parts

    async def give(self, operator: Operator, target: Target, body: OrderBody) -> Done:
        """Raises ActRefused."""
        made = Order(
            id=secrets.token_hex(_ID_BYTES),
            target=target,
            kind=body.kind,
            state=OrderState.in_force,
            reason=body.reason,
            given_by=operator.subject,
            given_at_unix_ms=self._parts.now_ms(),
            pace_per_s=body.pace_per_s,
            within_ms=body.within_ms,
            with_clients=body.with_clients,
        )
        attempt = _Attempt(self._parts, Act.give, operator, target, why=body.reason, kind=made.kind)

        def edit(orders: Orders) -> tuple[Order, ...]:
            known = attempt.start(orders).of(target)
            emptied = jurisdictions_emptied(target, self._parts.regions(), attempt.standing)
            attempt.emptied = emptied
            if known is not None and _is_same_wish(known, made):
                return attempt.keep(known, "pending" if known.state is OrderState.pending else "already")
            new = replace(made, state=OrderState.pending) if emptied else made
            return attempt.put(known, new, "pending" if emptied else "in_force")

        return await attempt.run(edit)

    async def confirm(self, operator: Operator, order_id: str, why: str = "") -> Done:
        """Raises ActRefused."""
        attempt = _Attempt(self._parts, Act.confirm, operator, why=why)

        def edit(orders: Orders) -> tuple[Order, ...]:
            known = attempt.find(orders, order_id)
            if known.state is not OrderState.pending:
                return attempt.keep(known, "already")
            if known.given_by == operator.subject:
                raise refused(
                    ActReason.same_person,
                    f"{operator.subject} gave this order, so somebody else has to confirm it",
                )
            new = replace(known, state=OrderState.in_force, confirmed_by=operator.subject)
            return attempt.put(known, new, "confirmed")

        return await attempt.run(edit)

    async def stop(self, operator: Operator, order_id: str, why: str = "") -> Done:
        """Raises ActRefused."""
        return await self._move(operator, order_id, why, Act.stop, OrderState.stopped)

    async def resume(self, operator: Operator, order_id: str, why: str = "") -> Done:
        """Raises ActRefused."""
        return await self._move(operator, order_id, why, Act.resume, OrderState.in_force)

    async def withdraw(self, operator: Operator, order_id: str, why: str = "") -> Done:
        """Raises ActRefused."""
        attempt = _Attempt(self._parts, Act.withdraw, operator, why=why)

        def edit(orders: Orders) -> tuple[Order, ...]:
            return attempt.put(attempt.find(orders, order_id), None, "withdrawn")

        return await attempt.run(edit)

    async def note_refused(self, act: Act, error: ActRefused, *, who: str) -> None:
        """It came to nothing before any order was looked at. `who`: as far as a token proved it."""
        await self._parts.write(AuditEvent(act=act, outcome=error.reason, is_refused=True, who=who))

    def standing(self) -> tuple[Order, ...]:
        """Those that did not expire."""
        return tuple(order for order in self._parts.book.orders.orders if not self._parts.is_expired(order))

    async def expire(self) -> int:
        """Take off what waited too long for its second person; gives how many. Raises ActRefused: not now."""
        if not any(map(self._parts.is_expired, self._parts.book.orders.orders)):
            return 0
        attempt = _Attempt(self._parts, Act.expire, None)
        await attempt.run(lambda orders: attempt.start(orders).orders)
        return len(attempt.expired)

    async def _move(self, operator: Operator, order_id: str, why: str, act: Act, state: OrderState) -> Done:
        attempt = _Attempt(self._parts, act, operator, why=why)

        def edit(orders: Orders) -> tuple[Order, ...]:
            known = attempt.find(orders, order_id)
            if known.state is OrderState.pending:
                raise refused(
                    ActReason.needs_second_person,
                    "it waits for a second person and moves nobody; it can be confirmed or withdrawn",
                )
            if known.state is state:
                return attempt.keep(known, "already")
            return attempt.put(known, replace(known, state=state), "stopped" if act is Act.stop else "resumed")

        return await attempt.run(edit)


class _Attempt:
    """One act on its way; `edit` may be called again with newer orders, and the last time counts."""

    def __init__(
        self,
        parts: ActParts,
        act: Act,
        operator: Operator | None,
        target: Target | None = None,
        *,
        why: str = "",
        kind: OrderKind | None = None,
    ) -> None:
        self._parts = parts
        self._act = act
        self._who = "" if operator is None else operator.subject
        self._target = target
        self._why = why
        self._kind = kind
        self.standing: tuple[Order, ...] = ()
        """Those that did not expire."""
        self.expired: tuple[Order, ...] = ()
        self.emptied: tuple[str, ...] = ()
        self._before: Order | None = None
        self._after: Order | None = None
        self._outcome = ""

    def start(self, orders: Orders) -> Orders:
        is_expired = self._parts.is_expired
        self.expired = tuple(order for order in orders.orders if is_expired(order))
        self.standing = tuple(order for order in orders.orders if not is_expired(order))
        self._before = self._after = None
        return replace(orders, orders=self.standing)

    def find(self, orders: Orders, order_id: str) -> Order:
        standing = self.start(orders)
        found = next((order for order in standing.orders if order.id == order_id), None)
        if found is None:
            was = next((order for order in self.expired if order.id == order_id), None)
            why = "no order has this id" if was is None else "it waited too long for its second person and expired"
            raise refused(ActReason.unknown_order, f"{why}; `GET /v1/orders` lists those that stand")
        self._target, self._kind, self._before = found.target, found.kind, found
        return found

    def keep(self, known: Order, outcome: str) -> tuple[Order, ...]:
        self._before = self._after = known
        self._outcome = outcome
        return self.standing

    def put(self, known: Order | None, new: Order | None, outcome: str) -> tuple[Order, ...]:
        self._before, self._after, self._outcome = known, new, outcome
        others = tuple(order for order in self.standing if order is not known)
        return others if new is None else (*others, new)

    async def run(self, edit: Callable[[Orders], tuple[Order, ...]]) -> Done:
        try:
            await self._change(edit)
        except ActRefused as error:
            if self._act is not Act.expire:  # nobody asked for it, and it is tried again soon
                await self._write(error.reason, is_refused=True)
            raise
        for order in self.expired:
            await self._write_expired(order)
        if self._act is not Act.expire:
            await self._write(self._outcome, is_refused=False)
        return Done(self._outcome, self._after or self._before, self.emptied)

    async def _change(self, edit: Callable[[Orders], tuple[Order, ...]]) -> None:
        try:
            await self._parts.book.change(edit)
        except RevisionConflict:
            detail = "others are changing the orders at the same time; look again, then try again"
            raise refused(ActReason.conflict, detail) from None
        except TooManyOrders:
            detail = "the region has more orders than gateways read; withdraw those that are over first"
            raise refused(ActReason.too_many_orders, detail) from None
        except StoreAway:
            detail = (
                "the region's Redis does not answer; what is in force stays so. Look before you try again: "
                "if only the answer was lost, it is done"
            )
            raise refused(ActReason.store_away, detail) from None
        except OrdersMalformed:
            detail = "what Redis holds are no orders that this release can read; what is in force here stays so"
            raise refused(ActReason.store_away, detail) from None

    async def _write(self, outcome: str, *, is_refused: bool) -> None:
        order = self._after or self._before
        await self._parts.write(
            AuditEvent(
                act=self._act,
                outcome=outcome,
                is_refused=is_refused,
                who=self._who,
                target="" if self._target is None else str(self._target),
                kind="" if self._kind is None else self._kind.value,
                order_id="" if order is None else order.id,
                why=self._why,
                before=in_words(self._before),
                after=in_words(self._before if is_refused else self._after),
            )
        )

    async def _write_expired(self, order: Order) -> None:
        await self._parts.write(
            AuditEvent(
                act=Act.expire,
                outcome="expired",
                target=str(order.target),
                kind=order.kind.value,
                order_id=order.id,
                before=in_words(order),
            )
        )


def _is_same_wish(known: Order, made: Order) -> bool:
    same = (made.kind, made.pace_per_s, made.within_ms, made.with_clients)
    is_standing = known.state is not OrderState.stopped
    return is_standing and (known.kind, known.pace_per_s, known.within_ms, known.with_clients) == same
