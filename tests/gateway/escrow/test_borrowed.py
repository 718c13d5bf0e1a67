"""A borrowed plan differs in its buckets alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.escrow.borrowed import borrowed_levels, borrowed_plan
from policies.escrow import HoldingRules
from policies.plans import MICRO, Level, LevelLimits, Principal, Rate
from tests.harness.escrow_regions import RATE, plan

pytestmark = pytest.mark.unit

HOLDING = HoldingRules(holding_ms=500, least_us=1_000)


def test_a_borrowed_bucket_gains_nothing_by_time_and_holds_what_the_region_may() -> None:
    mine = plan()
    borrowed = borrowed_plan(mine, HOLDING)
    assert borrowed == replace(mine, org=replace(mine.org, compute=Rate(0, 10 * MICRO)))


def test_levels_without_a_limit_or_without_a_name_are_not_borrowed_for() -> None:
    who = Principal("acme", "", "0123456789abcdef")
    assert list(borrowed_levels(plan(who=who))) == [(Level.key, RATE), (Level.org, RATE)]
    unlimited = replace(plan(), project=LevelLimits(compute=RATE), org=LevelLimits())
    assert list(borrowed_levels(unlimited)) == []
    assert borrowed_plan(unlimited, HOLDING).org == LevelLimits()
