"""Makes orders so on one gateway: regions and engines are held out, sessions are told to move in their turn, and how
far each order has come is counted.

These must stay true:
  - A drain ends no session: one that has nowhere to go stays, and is counted with the reason.
  - Engines that come later under a pool that is held out are held out too, before they get a stream.
  - Nothing is moved for an order that was stopped, withdrawn, or waits for a second person.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import structlog

from engines.interface import MoveReason
from policies.move_turns import MoveTurns
from policies.order_effects import is_effective, move_gap_ms, order_on_engine, region_wish
from policies.orders import OrderKind, OrderState, Scope
from policies.plans import Tier
from regions.moving_out import OUT_OF_REGION
from regions.orders.reports import GatewayReport, OrderProgress
from regions.orders.tally import OrderTally, Standing
from regions.session_groups import session_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from policies.order_effects import RegionWish
    from policies.orders import Order, Orders
    from regions.discovery.interface import EngineAddress
    from regions.facts import Facts
    from regions.links.pool import LinkPool
    from regions.links.pool_stream import PoolStream
    from regions.orders.book import OrderBook
    from regions.orders.metrics import OrderMetrics
    from regions.placement import RegionalPlacement
    from regions.session_pool import PlacedSession

_STEP_S = 0.2
_MOVE_WITHIN_MS = 15_000
"""A session that is told to leave an engine looks for another one for so long; then it is told again."""
_DISABLED_WITHIN_MS = 5_000
"""What is told to leave an engine that is disabled and has not after so long is handed back."""
_PATIENCE_MS = 2_000
"""A session that was told to move and is there no longer than this is on its way."""
_LINK_GAP_MS = 25
"""Between two streams of an engine, where no pace is asked for: as regions.links.settings.LinkSettings.moves_per_s."""

log = structlog.get_logger("orders")


class OrdersCarriedOut:
    """One a gateway. From here on the book's orders have effects; its owner runs `run`.

    Args:
        peer_links: gateways of other regions that have streams here.
    """

    def __init__(
        self,
        book: OrderBook,
        facts: Facts,
        pool: LinkPool,
        placement: RegionalPlacement,
        metrics: OrderMetrics,
        *,
        peer_links: Callable[[], int] = lambda: 0,
    ) -> None:
        self._book = book
        self._facts = facts
        self._pool = pool
        self._placement = placement
        self._metrics = metrics
        self._peer_links = peer_links
        self._tallies: dict[str, OrderTally] = {}
        self._turns: dict[str, MoveTurns] = {}
        self._stuck_alike: dict[Hashable, str] = {}
        """Of one step: why streams that are alike stay."""
        self.clients_of: Callable[[str], tuple[int, int]] = lambda _order_id: (0, 0)
        """How many clients an order still sends elsewhere, and how many of them may connect nowhere else."""
        self._told_of: set[tuple[str, str]] = set()
        """What was logged: (order, event)."""
        book.report_of = self.report
        book.watch(self._follow)
        self._follow(book.orders)

    async def run(self) -> None:
        """Carry them out until cancelled."""
        while True:
            await asyncio.sleep(_STEP_S)
            self.step()

    # --- what orders want -----------------------------------------------------------------------------------

    def _follow(self, orders: Orders) -> None:
        effective = {order.id: order for order in orders.orders if is_effective(order)}
        for order_id, order in effective.items():
            if order_id not in self._tallies:
                self._tallies[order_id] = OrderTally(order_id, within_ms=order.within_ms, started_at_unix_ms=_unix_ms())
                log.info(
                    "order.followed",
                    order=order_id,
                    scope=order.target.scope.value,
                    target=str(order.target),
                    kind=order.kind.value,
                )
        for order_id in self._tallies.keys() - effective.keys():
            del self._tallies[order_id]
            self._turns.pop(order_id, None)
            log.info("order.withdrawn", order=order_id)
        self._told_of = {told for told in self._told_of if told[0] in effective}
        self._wish(orders)
        self._hold_engines(orders, effective.values())
        self._metrics.in_force.clear()
        for (scope, kind), number in Counter(
            (order.target.scope.value, order.kind.value) for order in effective.values()
        ).items():
            self._metrics.in_force.labels(scope, kind).set(number)
        self.step()  # so that nobody takes an order for done that was not looked at yet

    def _wish(self, orders: Orders) -> None:
        sharers_here = self._pool.dispatchers + self._peer_links()

        def wish_for(region: str) -> RegionWish:
            sharers = sharers_here if region == self._facts.here else self._pool.dispatchers
            return region_wish(orders, region, sharers=sharers)

        self._facts.set_wishes(wish_for)

    def _hold_engines(self, orders: Orders, effective: Iterable[Order]) -> None:
        here = self._facts.here

        def order_on(engine: EngineAddress, pool: str) -> Order | None:
            return order_on_engine(
                orders, here, pool=pool or engine.pool, address=engine.address, instance=engine.instance
            )

        has_any = any(order.target.scope is not Scope.region and order.target.region == here for order in effective)
        self._pool.set_orders(order_on if has_any else None)
        self._facts.look_again()

    # --- moving, and counting -------------------------------------------------------------------------------

    def step(self) -> None:
        """Tell those whose turn it is, and count."""
        if not self._tallies:
            return
        self._stuck_alike.clear()
        orders = self._book.orders
        self._wish(orders)  # gateways come and go, and share the pace
        sessions = {session.session_id: session for session in self._placement.sessions}
        stuck: Counter[str] = Counter()
        left: Counter[str] = Counter()
        held = self._pool.streams_held()
        for order in orders.orders:
            tally = self._tallies.get(order.id)
            if tally is None:
                continue
            if order.target.scope is Scope.region:
                standing = self._standing_in(order.target.region, sessions)
                self._hand_back_to_peers(order, tally, sessions)
            else:
                streams = [stream for by, stream in held if by.id == order.id]
                standing = {stream.asked.session_id: self._standing_on(stream, sessions) for stream in streams}
                self._move(order, streams)
            moved = tally.look(standing, is_alive=sessions.__contains__, unix_ms=_unix_ms())
            scope = order.target.scope.value
            self._metrics.moved.labels(scope).inc(moved)
            left[scope] += len(standing)
            stuck.update(one.stays_because for one in standing.values() if one.stays_because)
            self._log(order, tally)
        self._set(left, stuck)

    def _standing_in(self, region: str, sessions: dict[str, PlacedSession]) -> dict[str, Standing]:
        standing = {}
        for session_id, session in sessions.items():
            for stream in session.streams:
                if stream.is_granted and stream.region is not None and stream.region.name == region:
                    is_told = stream.is_told_to_move or stream.move_reason in OUT_OF_REGION
                    standing[session_id] = Standing(is_told, session.stays_because)
        if region == self._facts.here:
            for relayed in self._pool.streams():
                if relayed.asked.session_id not in sessions:
                    standing[relayed.asked.session_id] = Standing(is_told=True, is_own=False)
        return standing

    def _standing_on(self, stream: PoolStream, sessions: dict[str, PlacedSession]) -> Standing:
        session = sessions.get(stream.asked.session_id)
        told_at_ms = stream.told_at_ms
        if told_at_ms is None or self._pool.now_ms() - told_at_ms < _PATIENCE_MS:
            return Standing(is_told=told_at_ms is not None, is_own=session is not None)
        return Standing(is_told=True, stays_because=self._stays_because(stream, session), is_own=session is not None)

    def _stays_because(self, stream: PoolStream, session: PlacedSession | None) -> str:
        """Why a stream has no other engine, here or elsewhere; empty: it has. Asked once in a step for all that are
        alike: every engine and region is looked at, and where there is no room many streams ask.
        """
        asked = stream.asked
        permitted = None if session is None else (session.permitted, session.classes, asked.classes)
        options = asked.options
        alike = (permitted, asked.tier, asked.is_replay, options.model, options.model_version, options.language)
        known = self._stuck_alike.get(alike)
        if known is None:
            refusal = self._pool.refusal_of(asked)
            if refusal is not None and session is not None:
                placed = next((one for one in session.streams if one.inner is stream), None)
                if placed is not None and session.decide_without(placed, self._facts.here).candidates:
                    refusal = None
            known = self._stuck_alike[alike] = "" if refusal is None else refusal.value
        return known

    def _move(self, order: Order, streams: list[PoolStream]) -> None:
        """Who was never told goes first, then higher tiers, then who is here for longest."""
        if order.state is not OrderState.in_force:
            return
        now_ms = self._pool.now_ms()
        is_disabled = order.kind is OrderKind.disable
        waiting = []
        for stream in streams:
            told_at_ms = stream.told_at_ms
            if told_at_ms is None or now_ms - told_at_ms >= _MOVE_WITHIN_MS:
                waiting.append(stream)
            elif is_disabled and now_ms - told_at_ms >= _DISABLED_WITHIN_MS:
                self._tell(order, stream.hand_back)
        waiting.sort(key=lambda stream: (stream.told_at_ms is not None, _rank(stream.asked.tier)))
        engines = len({stream.replica.address for stream in streams if stream.replica is not None})
        gap_ms = max(
            0 if is_disabled else move_gap_ms(order.pace_per_s, sharers=self._pool.dispatchers),
            _LINK_GAP_MS // max(1, engines),
            1,
        )
        within_ms = _DISABLED_WITHIN_MS if is_disabled else _MOVE_WITHIN_MS
        turns = self._turns.setdefault(order.id, MoveTurns(burst=max(20, 400 // gap_ms)))
        for stream in waiting[: turns.due(now_ms, gap_ms=gap_ms, waiting=len(waiting))]:
            self._tell(order, lambda one=stream: one.move_away(MoveReason.engine_draining, within_ms))  # type: ignore[misc]

    def _hand_back_to_peers(self, order: Order, tally: OrderTally, sessions: dict[str, PlacedSession]) -> None:
        """Peers' gateways move what may be elsewhere. Of this region, where it is disabled, the rest goes too, so that
        its engines are empty: their sessions look for a place as long as sessions do.
        """
        is_cut = order.kind is OrderKind.disable and order.state is OrderState.in_force
        if not is_cut or order.target.region != self._facts.here or tally.age_ms(_unix_ms()) < _MOVE_WITHIN_MS:
            return
        staying = [stream for stream in self._pool.streams() if stream.asked.session_id not in sessions]
        turns = self._turns.setdefault(order.id, MoveTurns())
        for stream in staying[: turns.due(self._pool.now_ms(), gap_ms=_LINK_GAP_MS, waiting=len(staying))]:
            self._tell(order, stream.hand_back)

    def _tell(self, order: Order, tell: Callable[[], None]) -> None:
        """One session's fault must not keep the others from moving."""
        try:
            tell()
        except Exception:
            log.exception("order.move_failed", order=order.id)

    def _log(self, order: Order, tally: OrderTally) -> None:
        progress = tally.progress(_unix_ms())
        if tally.is_done and self._is_news(order, "emptied"):
            log.info("order.emptied", order=order.id, moved=progress.moved, ended=progress.ended)
        if progress.is_late and self._is_news(order, "late"):
            log.warning("order.late", order=order.id, left=progress.left, stuck=progress.stuck)

    def _is_news(self, order: Order, what: str) -> bool:
        if (order.id, what) in self._told_of:
            return False
        self._told_of.add((order.id, what))
        return True

    def _set(self, left: Counter[str], stuck: Counter[str]) -> None:
        self._metrics.left.clear()
        self._metrics.stuck.clear()
        for scope, number in left.items():
            self._metrics.left.labels(scope).set(number)
        for reason, number in stuck.items():
            self._metrics.stuck.labels(reason).set(number)

    # --- what is told to others -----------------------------------------------------------------------------

    def report(self, question: str) -> GatewayReport:
        """For the other gateways of the region."""
        now_unix_ms = _unix_ms()
        return GatewayReport(
            progress=tuple(self._progress(order_id, now_unix_ms) for order_id in self._tallies),
            answers=question,
            groups=session_groups(self._placement, self._pool, self._facts.here) if question else (),
        )

    def _progress(self, order_id: str, now_unix_ms: int) -> OrderProgress:
        progress = self._tallies[order_id].progress(now_unix_ms)
        left, stuck = self.clients_of(order_id)
        if not left:
            return progress
        return msgspec.structs.replace(progress, clients_left=left, clients_stuck=stuck, done_at_unix_ms=0)


def _rank(tier: str) -> int:
    return list(Tier).index(Tier(tier)) if tier in Tier.__members__ else len(Tier)


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
