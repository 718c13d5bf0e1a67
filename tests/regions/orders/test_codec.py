"""Orders as bytes: the same for the same orders, whole or not at all, and of two sets the same one holds everywhere."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from policies.orders import Order, OrderKind, Orders, OrderState, Scope, Target
from regions.orders.codec import MAX_ORDERS_BYTES, decode_orders, encode_orders, newer, version_of
from regions.orders.errors import OrdersMalformed

pytestmark = pytest.mark.unit

ORDER = Order(
    id="0123456789ab",
    target=Target(Scope.pool, "north", "spot"),
    kind=OrderKind.drain,
    state=OrderState.in_force,
    reason="kernel update",
    given_by="ada",
    given_at_unix_ms=1,
)
ANY = some.builds(
    Orders,
    some.integers(0, 3),
    some.lists(some.builds(replace, some.just(ORDER), reason=some.text(max_size=5)), max_size=3).map(tuple),
)


@given(ANY)
def test_orders_come_back_as_they_were(orders: Orders) -> None:
    assert decode_orders(encode_orders(orders)) == orders


@given(ANY, ANY, ANY)
def test_of_what_is_known_the_same_holds_whatever_came_first(one: Orders, other: Orders, third: Orders) -> None:
    assert newer(one, other) == newer(other, one)
    assert newer(newer(one, other), third) == newer(one, newer(other, third))
    assert newer(one, other).revision == max(one.revision, other.revision)


@given(some.binary(max_size=200))
def test_bytes_are_orders_or_malformed(raw: bytes) -> None:
    try:
        decode_orders(raw)
    except OrdersMalformed:
        return


def test_fields_of_a_later_release_are_passed_over() -> None:
    document = json.loads(encode_orders(Orders(7, (ORDER,))))
    document["more"] = 1
    document["orders"][0]["ticket"] = "SRE-1"
    assert decode_orders(json.dumps(document).encode()) == Orders(7, (ORDER,))


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"revision": -1}, {"orders": [{"id": "x"}]}, {"orders": [{"kind": "cordon"}]}]
)
def test_what_cannot_be_kept_whole_is_not_taken_at_all(change: dict[str, object]) -> None:
    document = json.loads(encode_orders(Orders(7, (ORDER,)))) | change
    with pytest.raises(OrdersMalformed):
        decode_orders(json.dumps(document).encode())


def test_what_is_too_large_is_malformed() -> None:
    with pytest.raises(OrdersMalformed):
        decode_orders(b" " * (MAX_ORDERS_BYTES + 1))


def test_a_version_names_what_is_in_it() -> None:
    one, other = Orders(7, (ORDER,)), Orders(7, (replace(ORDER, reason="another"),))
    assert version_of(one) != version_of(other)
    assert str(version_of(one)).startswith("7.")
