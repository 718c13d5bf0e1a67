"""How long data takes on a link of the lab."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.lab.conditions import (
    LEAST_RETRANSMIT_S,
    SEGMENT_BYTES,
    Conditions,
    transmission_s,
    travel_s,
    worst_of,
)

pytestmark = pytest.mark.unit


@dataclass
class Loaded:
    """Dice that show what they are told to, then the last of it for ever."""

    shows: list[float]

    def random(self) -> float:
        return self.shows.pop(0) if len(self.shows) > 1 else self.shows[0]


def test_delay_and_jitter_add_up() -> None:
    assert travel_s(100, Conditions(delay_ms=20, jitter_ms=100), Loaded([0.5])) == pytest.approx(0.07)


def test_a_lost_segment_comes_a_retransmission_timeout_later_and_twice_lost_three_times_that() -> None:
    conditions = Conditions(delay_ms=10, loss_permille=20)
    timeout_s = LEAST_RETRANSMIT_S + 0.02
    assert travel_s(100, conditions, Loaded([0.9, 0.0, 0.9])) == pytest.approx(0.01 + timeout_s)
    assert travel_s(100, conditions, Loaded([0.9, 0.0, 0.0, 0.9])) == pytest.approx(0.01 + 3 * timeout_s)


def test_each_segment_can_be_lost_and_the_latest_one_counts() -> None:
    conditions = Conditions(loss_permille=20)
    assert travel_s(2 * SEGMENT_BYTES, conditions, Loaded([0.9, 0.9, 0.0, 0.9])) == pytest.approx(LEAST_RETRANSMIT_S)


def test_the_share_that_is_late_is_the_share_that_is_lost() -> None:
    dice = random.Random(1)
    late = sum(travel_s(100, Conditions(loss_permille=20), dice) > 0 for _ in range(20_000))
    assert 300 < late < 500


def test_bandwidth_keeps_the_link_busy() -> None:
    assert transmission_s(1_000, Conditions(bandwidth_kbit_s=8)) == pytest.approx(1.0)
    assert transmission_s(1_000, Conditions()) == 0.0


@given(st.integers(0, 100_000), st.integers(0, 200))
def test_nothing_arrives_before_the_delay(num_bytes: int, loss_permille: int) -> None:
    conditions = Conditions(delay_ms=7, loss_permille=loss_permille)
    assert travel_s(num_bytes, conditions, random.Random(num_bytes)) >= 0.007


def test_what_a_relay_adds_is_told_by_its_quantiles() -> None:
    assert worst_of([]) == {"p50_ms": 0.0, "p99_ms": 0.0}
    assert worst_of([0.001] * 98 + [0.5] * 2) == {"p50_ms": 1.0, "p99_ms": 500.0}
