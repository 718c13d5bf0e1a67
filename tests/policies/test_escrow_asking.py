"""A region asks ahead of its demand, within what it may hold."""

from __future__ import annotations

import pytest

from policies.escrow import Ask, Loan, Outcome
from policies.escrow_asking import AskingRules, Demand, look_after_ms, low_water_us, spent_us, wanted_us
from policies.plans import MICRO, Rate

pytestmark = pytest.mark.unit

RATE = Rate(per_s=100 * MICRO, burst=600 * MICRO)
RULES = AskingRules(chunk_ms=250, ahead_ms=500, report_ms=1_000, look_ms=50, idle_ms=30_000)
HOLDING = 200 * MICRO


def ask(holding: int) -> Ask:
    return Ask(1, 1, 1, 0, 0, holding * MICRO, 0)


def wanted(balance: int, *, holding: int | None = None, demand: int = 0) -> int:
    held = ask(balance if holding is None else holding)
    return wanted_us(balance * MICRO, held, demand * MICRO, RATE, HOLDING, RULES) // MICRO


def test_an_empty_region_asks_for_a_chunk_and_more() -> None:
    assert wanted(0) == 37  # the low-water mark of half a chunk, and a chunk


def test_a_region_with_enough_for_its_demand_does_not_ask() -> None:
    assert wanted(51, demand=100) == 0


def test_a_region_asks_before_its_demand_has_used_up_what_it_has() -> None:
    assert wanted(49, demand=100) == 51


def test_a_region_never_asks_for_more_than_it_may_hold() -> None:
    assert wanted(0, holding=180, demand=300) == 20


def test_a_region_does_not_ask_for_crumbs() -> None:
    assert wanted(0, holding=198, demand=300) == 0


def test_a_debt_is_asked_for_too() -> None:
    assert wanted(-30) == 67


def test_demand_rises_fast_and_falls_slowly() -> None:
    demand = Demand()
    demand.observe(0, now_ms=0)
    demand.observe(10 * MICRO, now_ms=100)
    risen = demand.per_s
    demand.observe(10 * MICRO, now_ms=200)
    assert 50 * MICRO <= risen <= 100 * MICRO
    assert risen * 0.8 < demand.per_s < risen


def test_a_count_that_begins_anew_is_no_demand() -> None:
    demand = Demand()
    demand.observe(500 * MICRO, now_ms=0)
    demand.observe(3, now_ms=100)
    assert demand.per_s == 0


def test_what_is_spent_is_what_came_less_what_went_back_and_what_is_held() -> None:
    assert spent_us(Ask(1, 1, 1, 100, 20, 30, 0), minted_us=5) == 55


@pytest.mark.parametrize(
    ("balance", "demand", "loan", "expected_ms"),
    [
        (0, 100, Loan(Outcome.short, 1, 1, 0, 0, 130), 130),
        (0, 100, Loan(Outcome.learning, 1, 1, 0, 0, 500), 500),
        (0, 100, Loan(Outcome.lent, 1, 1, 0, 0), 50),
        (80, 100, None, 300),
        (200, 0, None, 1_000),
        (190, 1, None, 1_000),
    ],
)
def test_the_next_look_comes_before_it_is_needed(
    balance: int, demand: int, loan: Loan | None, expected_ms: int
) -> None:
    low_us = low_water_us(demand * MICRO, RATE, HOLDING, RULES)
    assert look_after_ms(balance * MICRO, demand * MICRO, low_us, loan, RULES) == expected_ms
