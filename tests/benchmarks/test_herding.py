"""The rule of choice does not herd: few first choices are full although reports are old, and no engine overloads."""

from __future__ import annotations

import pytest

from tests.benchmarks.herding import SLOTS, by_the_rule, herd, least_loaded

pytestmark = pytest.mark.unit

SESSIONS, SEED = 2_500, 3
"""Short, so that it is quick; the seed's figures are near to those of a long run, which the benchmark shows."""


def test_one_dispatcher_with_reports_a_second_old_asks_a_full_engine_in_at_most_six_of_a_hundred() -> None:
    found = herd(by_the_rule, age_s=1.0, dispatchers=1, sessions=SESSIONS, seed=SEED)
    assert found.missed_percent <= 6.0
    assert found.most_taken == SLOTS


def test_three_dispatchers_ask_a_full_engine_far_less_often_than_by_the_reports_alone() -> None:
    found, by_reports = (
        herd(choose, age_s=1.0, dispatchers=3, sessions=SESSIONS, seed=SEED) for choose in (by_the_rule, least_loaded)
    )
    assert found.missed_percent <= 13.0
    assert found.missed_percent < by_reports.missed_percent / 1.5
    assert found.most_taken == by_reports.most_taken == SLOTS
