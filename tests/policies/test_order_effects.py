"""What orders mean: the stricter holds, pending ones mean nothing, stopped ones keep things out and move nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from policies.order_effects import (
    NO_WISH,
    NOWHERE_ELSE,
    is_effective,
    move_gap_ms,
    order_on_engine,
    region_state,
    region_wish,
    stays_because,
)
from policies.orders import Order, OrderKind, Orders, OrderState, Scope, Target
from policies.routing_facts import RegionState, RouteDecision, RuledOut

pytestmark = pytest.mark.unit


def order(scope: Scope = Scope.region, name: str = "", *, region: str = "north") -> Order:
    return Order(
        id="0123456789ab",
        target=Target(scope, region, name),
        kind=OrderKind.drain,
        state=OrderState.in_force,
        reason="kernel update",
        given_by="ada",
        given_at_unix_ms=1,
    )


DRAIN = order()
ORDERS = some.builds(
    replace,
    some.builds(
        order,
        some.sampled_from(Scope),
        some.sampled_from(["", "spot", "10.0.0.1:80"]),
        region=some.sampled_from(["north", "east"]),
    ),
    kind=some.sampled_from(OrderKind),
    state=some.sampled_from(OrderState),
    pace_per_s=some.integers(0, 100),
)


def test_a_drain_drains_and_a_disable_disables_their_region_alone() -> None:
    assert region_state(Orders(1, (DRAIN,)), "north") is RegionState.draining
    assert region_state(Orders(1, (replace(DRAIN, kind=OrderKind.disable),)), "north") is RegionState.disabled
    assert region_state(Orders(1, (DRAIN,)), "east") is RegionState.active


def test_a_disable_that_was_stopped_throws_nobody_out() -> None:
    stopped = replace(DRAIN, kind=OrderKind.disable, state=OrderState.stopped)
    wish = region_wish(Orders(1, (stopped,)), "north", sharers=1)
    assert (wish.state, wish.is_stopped) == (RegionState.draining, True)


def test_an_order_that_waits_for_a_second_person_has_no_effect() -> None:
    pending = Orders(1, (replace(DRAIN, state=OrderState.pending),))
    assert region_wish(pending, "north", sharers=1) == NO_WISH
    engine = replace(order(Scope.engine, "10.0.0.1:80"), state=OrderState.pending)
    assert order_on_engine(Orders(1, (engine,)), "north", pool="spot", address="10.0.0.1:80", instance="") is None


def test_an_engine_is_held_out_by_its_pool_its_address_or_its_instance() -> None:
    def is_held(name: str, scope: Scope, *, region: str = "north") -> bool:
        orders = Orders(1, (order(scope, name, region=region),))
        return order_on_engine(orders, "north", pool="spot", address="10.0.0.1:80", instance="i-1") is not None

    assert is_held("spot", Scope.pool)
    assert is_held("10.0.0.1:80", Scope.engine)
    assert is_held("i-1", Scope.engine)
    assert not is_held("reserved", Scope.pool)
    assert not is_held("spot", Scope.engine)
    assert not is_held("spot", Scope.pool, region="east")


def test_what_is_not_known_of_an_engine_matches_no_order() -> None:
    orders = Orders(1, (order(Scope.pool), order(Scope.engine)))
    assert order_on_engine(orders, "north", pool="", address="10.0.0.1:80", instance="") is None


@given(some.lists(ORDERS, max_size=6).map(tuple))
def test_of_several_orders_on_an_engine_the_strictest_holds(orders: tuple[Order, ...]) -> None:
    held = order_on_engine(Orders(1, orders), "north", pool="spot", address="10.0.0.1:80", instance="")
    about = [
        one
        for one in orders
        if is_effective(one)
        and one.target in (Target(Scope.pool, "north", "spot"), Target(Scope.engine, "north", "10.0.0.1:80"))
    ]
    assert (held is None) == (not about)
    if held is not None and any(one.state is OrderState.in_force for one in about):
        assert held.state is OrderState.in_force
        if any(one.state is OrderState.in_force and one.kind is OrderKind.disable for one in about):
            assert held.kind is OrderKind.disable


@given(some.integers(1, 1_000), some.integers(1, 50))
def test_all_sharers_together_keep_to_the_pace(pace_per_s: int, sharers: int) -> None:
    gap_ms = move_gap_ms(pace_per_s, sharers=sharers)
    assert sharers * 1_000 / gap_ms <= pace_per_s
    assert move_gap_ms(0, sharers=sharers) == 0


def test_a_region_that_is_disabled_has_no_pace() -> None:
    paced = replace(DRAIN, pace_per_s=10)
    assert region_wish(Orders(1, (paced,)), "north", sharers=2).move_gap_ms == 200
    assert region_wish(Orders(1, (replace(paced, kind=OrderKind.disable),)), "north", sharers=2).move_gap_ms == 0


def test_a_session_stays_for_what_the_likeliest_region_lacks() -> None:
    out = {
        "here": RuledOut.draining,
        "far": RuledOut.outside_policy,
        "south": RuledOut.unreachable,
        "west": RuledOut.no_free_slot,
    }
    assert stays_because(RouteDecision((), out), leaving="here") == "no_free_slot"
    assert stays_because(RouteDecision((), {"here": RuledOut.draining}), leaving="here") == NOWHERE_ELSE
