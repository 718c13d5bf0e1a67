"""Orders become so: sessions are told in their turn, what has nowhere to go stays and is counted, a stop stops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from engines.interface import MoveAway, MoveReason, OpenStream, RefusalReason, StreamOptions
from policies.orders import Order, OrderKind, OrderState, Scope, Target
from policies.routing_facts import RegionState
from regions.discovery.interface import EngineAddress
from regions.orders.book import OrderBook
from regions.orders.metrics import OrderMetrics
from regions.orders_carried_out import OrdersCarriedOut
from tests.harness.waiting import until
from tests.regions.placement_world import World, turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.orders.reports import OrderProgress

pytestmark = pytest.mark.unit

NORTH = Order(
    id="0123456789ab",
    target=Target(Scope.region, "north"),
    kind=OrderKind.drain,
    state=OrderState.in_force,
    reason="kernel update",
    given_by="ada",
    given_at_unix_ms=1,
)
ENGINE = replace(NORTH, id="ba9876543210", target=Target(Scope.engine, "north", "10.0.0.1:80"))


@dataclass
class Place:
    """A replica, as far as its address goes."""

    address: str


class Stream:
    """A PoolStream that notes what it was told."""

    def __init__(self, pool: Engines, session_id: str, tier: str = "standard") -> None:
        self._pool = pool
        self.asked = OpenStream(
            session_id=session_id, tenant="t", epoch=1, start_sample=0, options=StreamOptions(), tier=tier
        )
        self.replica = Place("10.0.0.1:80")
        self.told_at_ms: int | None = None
        self.told: list[MoveReason] = []
        self.is_handed_back = False

    def move_away(self, reason: MoveReason, within_ms: int) -> None:
        assert within_ms > 0
        self.told_at_ms = self._pool.now
        self.told.append(reason)

    def hand_back(self) -> None:
        self.is_handed_back = True


class Engines:
    """What is asked of a LinkPool, for one engine at 10.0.0.1:80 of the pool `spot`."""

    dispatchers = 1

    def __init__(self) -> None:
        self.now = 0
        self.there: list[Stream] = []
        self.refusal: RefusalReason | None = None
        self.times_asked = 0
        self.order_on: Callable[[EngineAddress, str], Order | None] | None = None

    def now_ms(self) -> int:
        return self.now

    def set_orders(self, order_on: Callable[[EngineAddress, str], Order | None] | None) -> None:
        self.order_on = order_on

    def streams(self) -> list[Stream]:
        return self.there

    def streams_held(self) -> list[tuple[Order, Stream]]:
        order = None if self.order_on is None else self.order_on(EngineAddress("10.0.0.1:80"), "spot")
        return [] if order is None else [(order, stream) for stream in self.there]

    def refusal_of(self, _asked: OpenStream) -> RefusalReason | None:
        self.times_asked += 1
        return self.refusal

    def pool_of(self, _address: str) -> str:
        return "spot"


class Carried:
    """North's orders in a world of three regions."""

    def __init__(self) -> None:
        self.world = World()
        self.engines = Engines()
        self.book = OrderBook(gateway="a", store=None, copy=None)
        self.registry = CollectorRegistry()
        self.parts = OrdersCarriedOut(
            self.book,
            self.world.facts,
            self.engines,  # type: ignore[arg-type]
            self.world.placement,
            OrderMetrics(self.registry),
        )

    async def order(self, *orders: Order) -> None:
        await self.book.change(lambda _: orders)

    async def progress(self, order: Order) -> OrderProgress:
        self.parts.step()
        return (await self.book.progress())[order.id]

    def look(self, after_ms: int = 50) -> None:
        self.world.look(after_ms)
        self.world.placement._look_for_leaving(self.world.placement.snapshot)

    def state(self, region: str) -> RegionState:
        found = self.world.facts.region(region)
        assert found is not None
        return found.state


async def test_sessions_leave_a_drained_region_and_are_counted_until_it_is_empty() -> None:
    carried = Carried()
    caller = carried.world.session()
    stream = await caller.opened()
    await carried.order(NORTH)
    assert carried.state("north") is RegionState.draining
    carried.look()
    await until(lambda: len(caller.last) == 2)
    assert isinstance(caller.last[1], MoveAway)
    told = await carried.progress(NORTH)
    assert (told.left, told.moving, told.done_at_unix_ms) == (1, 1, 0)
    await caller.opened(is_replay=True)
    stream.cancel()
    assert caller.pool.region == "east"
    moved = await carried.progress(NORTH)
    assert (moved.left, moved.moved, moved.done_at_unix_ms > 0) == (0, 1, True)


async def test_a_session_that_may_be_nowhere_else_stays_and_is_counted_with_the_reason() -> None:
    carried = Carried()
    caller = carried.world.session(frozenset({"north"}))
    stream = await caller.opened()
    await carried.order(NORTH)
    carried.look()
    await until(lambda: stream.timer is None)
    progress = await carried.progress(NORTH)
    assert (progress.left, progress.stuck) == (1, {"no_permitted_region": 1})
    assert len(caller.last) == 1
    labels = {"reason": "no_permitted_region"}
    assert carried.registry.get_sample_value("patchbay_orders_sessions_stuck", labels) == 1


async def test_of_a_region_that_is_disabled_even_those_go_that_have_nowhere_to_go() -> None:
    carried = Carried()
    caller = carried.world.session(frozenset({"north"}))
    stream = await caller.opened()
    await carried.order(replace(NORTH, kind=OrderKind.disable))
    assert carried.state("north") is RegionState.disabled
    carried.look()
    await until(lambda: stream.is_over)


async def test_a_drain_that_was_stopped_moves_nobody_and_takes_nobody() -> None:
    carried = Carried()
    caller = carried.world.session()
    await caller.opened()
    await carried.order(replace(NORTH, state=OrderState.stopped))
    carried.look()
    await turns()
    assert len(caller.last) == 1
    assert carried.state("north") is RegionState.draining
    another = carried.world.session()
    await another.opened()
    assert another.pool.region == "east"


async def test_when_an_order_is_withdrawn_all_is_as_before() -> None:
    carried = Carried()
    await carried.order(NORTH, ENGINE)
    assert carried.engines.order_on is not None
    await carried.order()
    assert carried.state("north") is RegionState.active
    assert carried.engines.order_on is None
    assert await carried.book.progress() == {}


async def test_an_order_about_another_region_holds_in_this_gateways_view() -> None:
    carried = Carried()
    await carried.order(replace(NORTH, target=Target(Scope.region, "east")))
    carried.look()
    assert carried.state("east") is RegionState.draining
    assert carried.state("north") is RegionState.active


async def test_sessions_leave_a_region_at_the_pace_of_the_order() -> None:
    carried = Carried()
    callers = [carried.world.session() for _ in range(3)]
    for caller in callers:
        await caller.opened()
    await carried.order(replace(NORTH, pace_per_s=5))
    told = []
    for after_ms in (50, 50, 200, 200, 200):
        carried.look(after_ms)
        await until(
            lambda: all(
                stream.timer is None or stream.was_told_to_leave for one in callers for stream in one.pool.streams
            )
        )
        told.append(sum(len(caller.last) == 2 for caller in callers))
    assert told == [1, 1, 2, 3, 3]


async def test_streams_on_a_held_engine_are_told_in_turn_and_not_again_before_their_time() -> None:
    carried = Carried()
    carried.engines.there = [Stream(carried.engines, "low", "economy"), Stream(carried.engines, "high", "premium")]
    low, high = carried.engines.there
    await carried.order(replace(ENGINE, pace_per_s=10))
    assert (len(high.told), len(low.told)) == (1, 0)
    carried.engines.now += 100
    carried.parts.step()
    assert (high.told, low.told) == ([MoveReason.engine_draining], [MoveReason.engine_draining])
    carried.engines.now += 15_000
    carried.parts.step()
    assert len(high.told) + len(low.told) > 2
    assert not high.is_handed_back


async def test_a_stream_that_finds_no_other_engine_is_stuck_and_not_cut() -> None:
    carried = Carried()
    carried.engines.there = [Stream(carried.engines, "peers")]
    await carried.order(ENGINE)
    carried.engines.refusal = RefusalReason.no_free_slot
    carried.engines.now += 3_000
    progress = await carried.progress(ENGINE)
    assert (progress.stuck, carried.engines.there[0].is_handed_back) == ({"no_free_slot": 1}, False)
    carried.engines.there = []
    assert (await carried.progress(ENGINE)).peers_gone == 1


async def test_what_stays_on_a_disabled_engine_is_handed_back() -> None:
    carried = Carried()
    carried.engines.there = [Stream(carried.engines, "s")]
    await carried.order(replace(ENGINE, kind=OrderKind.disable))
    carried.engines.now += 5_000
    carried.parts.step()
    assert carried.engines.there[0].is_handed_back


async def test_clients_that_are_still_here_keep_an_order_from_being_done() -> None:
    carried = Carried()
    carried.parts.clients_of = lambda _order_id: (3, 1)
    await carried.order(NORTH)
    progress = await carried.progress(NORTH)
    assert (progress.clients_left, progress.clients_stuck, progress.done_at_unix_ms) == (3, 1, 0)


async def test_why_many_streams_that_are_alike_stay_is_asked_once_in_a_step() -> None:
    carried = Carried()
    carried.engines.there = [Stream(carried.engines, f"s{number}") for number in range(5)]
    carried.engines.refusal = RefusalReason.no_free_slot
    await carried.order(ENGINE)
    carried.engines.now += 1_000
    carried.parts.step()
    carried.engines.now += 3_000
    progress = await carried.progress(ENGINE)
    assert (progress.stuck, carried.engines.times_asked) == ({"no_free_slot": 5}, 1)


async def test_of_a_region_that_is_disabled_peers_streams_are_handed_back_when_they_had_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_000_000]
    monkeypatch.setattr("regions.orders_carried_out._unix_ms", lambda: now[0])
    carried = Carried()
    of_peer = Stream(carried.engines, "of-a-peer")
    carried.engines.there = [of_peer]
    await carried.order(replace(NORTH, kind=OrderKind.disable))
    carried.parts.step()
    assert not of_peer.is_handed_back
    now[0] += 15_000
    await carried.order(NORTH)
    carried.parts.step()
    assert not of_peer.is_handed_back, "a drain cuts nobody"
    await carried.order(replace(NORTH, kind=OrderKind.disable))
    carried.parts.step()
    assert of_peer.is_handed_back
