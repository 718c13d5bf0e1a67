"""Orders as values: what they are about, and which of them is a target's."""

from __future__ import annotations

import pytest

from policies.orders import Order, OrderKind, Orders, OrderState, Scope, Target

pytestmark = pytest.mark.unit

SPOT = Target(Scope.pool, "west", "spot")


def order(target: Target) -> Order:
    return Order("0" * 12, target, OrderKind.drain, OrderState.in_force, "new kernel", "ada", 0)


def test_a_target_is_written_as_operators_name_it() -> None:
    assert [str(target) for target in (Target(Scope.region, "west"), SPOT)] == ["west", "west/spot"]


def test_an_order_is_found_by_its_whole_target() -> None:
    orders = Orders(1, (order(SPOT),))
    assert orders.of(SPOT) is orders.orders[0]
    assert orders.of(Target(Scope.engine, "west", "spot")) is None
