"""What gateways say of orders, added up."""

from __future__ import annotations

import pytest

from regions.orders.reports import (
    MAX_GROUPS,
    GatewayReport,
    OrderProgress,
    SessionGroupFacts,
    decode_report,
    encode_report,
    few,
    summed,
)

pytestmark = pytest.mark.unit


def progress(**figures: int) -> OrderProgress:
    return OrderProgress(order_id="a", **figures)  # type: ignore[arg-type]


def test_figures_of_gateways_add_up_and_all_must_be_done() -> None:
    one = progress(total=3, moved=2, left=1, waiting=1, started_at_unix_ms=5)
    two = progress(total=4, moved=4, started_at_unix_ms=3, done_at_unix_ms=9)
    both = summed([GatewayReport(progress=(one,)), GatewayReport(progress=(two,))])["a"]
    assert (both.total, both.moved, both.left, both.waiting, both.gateways) == (7, 6, 1, 1, 2)
    assert (both.started_at_unix_ms, both.done_at_unix_ms) == (3, 0)
    done = summed([GatewayReport(progress=(two,)), GatewayReport(progress=(progress(done_at_unix_ms=11),))])["a"]
    assert done.done_at_unix_ms == 11


def test_an_order_is_not_done_while_a_gateway_has_not_heard_of_it() -> None:
    done = GatewayReport(progress=(progress(total=2, moved=2, done_at_unix_ms=9),))
    assert summed([done])["a"].done_at_unix_ms == 9
    assert summed([done, GatewayReport()])["a"].done_at_unix_ms == 0


def test_reasons_to_stay_add_up() -> None:
    one = OrderProgress(order_id="a", stuck={"no_free_slot": 2})
    two = OrderProgress(order_id="a", stuck={"no_free_slot": 1, "tripped": 4})
    together = summed([GatewayReport(progress=(one,)), GatewayReport(progress=(two,))])
    assert together["a"].stuck == {"no_free_slot": 3, "tripped": 4}


def test_a_report_comes_back_and_another_releases_is_left_out() -> None:
    report = GatewayReport(progress=(progress(total=1),), answers="q", groups=(_group(1),))
    assert decode_report(encode_report(report)) == report
    assert decode_report(b"\xff") is None


def test_a_report_is_bounded_and_its_sum_is_right() -> None:
    kept = few([_group(count) for count in range(1, MAX_GROUPS + 11)])
    assert len(kept) == MAX_GROUPS + 1
    assert sum(group.count for group in kept) == sum(range(1, MAX_GROUPS + 11))


def _group(count: int) -> SessionGroupFacts:
    return SessionGroupFacts(
        permitted=("north",), tier="standard", model="", model_version="", language="", region="north", count=count
    )
