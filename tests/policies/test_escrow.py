"""What lending promises, as numbers."""

from __future__ import annotations

import pytest

from policies.escrow import HoldingRules, bound_us
from policies.plans import MICRO, Rate

pytestmark = pytest.mark.unit

RATE = Rate(per_s=100 * MICRO, burst=600 * MICRO)


def test_the_bound_is_burst_and_rate_and_what_regions_hold() -> None:
    bound = bound_us(RATE, window_us=10 * MICRO, holdings_us=[50 * MICRO] * 3)
    assert bound == (600 + 1_000 + 150) * MICRO


def test_safe_rates_that_are_not_set_aside_add_to_the_bound_for_the_time_of_the_partition() -> None:
    bound = bound_us(RATE, window_us=0, holdings_us=[], safe_per_s=[5 * MICRO, 5 * MICRO], cut_off_us=300 * MICRO)
    assert bound == (600 + 3_000) * MICRO


def test_a_bound_is_rounded_up() -> None:
    assert bound_us(Rate(per_s=1, burst=0), window_us=1, holdings_us=[]) == 1


@pytest.mark.parametrize(
    ("rate", "expected_us"),
    [
        (RATE, 200 * MICRO),
        (Rate(per_s=MICRO // 10, burst=100 * MICRO), 2 * MICRO),
        (Rate(per_s=MICRO // 10, burst=MICRO), MICRO),
    ],
)
def test_a_region_may_hold_a_share_of_the_rate_and_at_least_what_a_session_needs(rate: Rate, expected_us: int) -> None:
    assert HoldingRules(holding_ms=2_000, least_us=2 * MICRO).holding_us(rate) == expected_us
