"""Orders in words and as JSON."""

from __future__ import annotations

import pytest

from gateway.operations.order_words import in_words, order_json
from policies.orders import Order, OrderKind, OrderState, Scope, Target
from regions.orders.reports import OrderProgress

pytestmark = pytest.mark.unit

ORDER = Order(
    "0" * 12, Target(Scope.pool, "ie", "l4"), OrderKind.drain, OrderState.in_force, "why", "ada", 5, pace_per_s=10
)


def test_an_order_in_a_few_words() -> None:
    assert in_words(ORDER) == "drain in_force 10/s within 60 s"
    assert in_words(None) == ""


def test_an_order_as_json_has_its_progress() -> None:
    tree = order_json(ORDER, OrderProgress(order_id=ORDER.id, total=3, left=1), expires_at_unix_ms=None)
    assert tree["target"] == {"scope": "pool", "region": "ie", "name": "l4"}
    assert (tree["state"], tree["progress"]["total"], tree["progress"]["left"]) == ("in_force", 3, 1)
    assert order_json(ORDER, None, expires_at_unix_ms=9)["expires_at_unix_ms"] == 9
