"""What several places of a plans file say becomes one: the narrowest wins, field by field."""

from __future__ import annotations

import tomllib
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies.plan_terms import (
    UNLIMITED,
    LimitTerms,
    Said,
    SaidLimits,
    Terms,
    amount_of,
    dotted,
    narrowest,
    said_limits,
)
from policies.plans import MICRO, Level, LevelLimits, Rate

pytestmark = pytest.mark.unit

PLAN, ORG, PROJECT, KEY = ("plans", "gold"), ("orgs", "acme"), ("orgs", "acme", "projects", "p"), ("keys",)


@given(place=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
@example(place=["\x7f"])
def test_a_place_is_written_as_toml_reads_it(place: list[str]) -> None:
    tree = tomllib.loads(f"{dotted(tuple(place))} = true")
    for part in place:
        tree = tree[part]
    assert tree is True


@given(micro=st.integers(0, 2**53))
def test_an_amount_is_written_exactly(micro: int) -> None:
    assert Decimal(amount_of(micro)) * MICRO == micro


def test_an_amount_is_written_without_idle_digits() -> None:
    assert [amount_of(micro) for micro in (2_500_000, 100_000_000, 1)] == ["2.5", "100", "0.000001"]


def test_the_first_that_says_something_wins_with_its_place() -> None:
    assert narrowest([(KEY, None), (ORG, 0), (PLAN, 2)]) == Said(0, ORG)
    assert narrowest([(KEY, None)]) is None


def test_each_field_is_taken_from_the_narrowest_place_that_says_it() -> None:
    chain = (
        Terms(PROJECT, Level.project, project=LimitTerms(compute_burst=5)),
        Terms(ORG, Level.org, project=LimitTerms(max_sessions=UNLIMITED, compute_burst=6)),
        Terms(PLAN, Level.org, project=LimitTerms(compute_per_s=1, compute_burst=7, max_sessions=3)),
    )
    said = said_limits(chain, Level.project)
    assert said == SaidLimits(
        compute_per_s=Said(1, (*PLAN, "project")),
        compute_burst=Said(5, (*PROJECT, "project")),
        max_sessions=Said(UNLIMITED, (*ORG, "project")),
    )
    assert said.limits() == LevelLimits(compute=Rate(per_s=1, burst=5))


def test_a_limit_that_is_lifted_does_not_hold() -> None:
    chain = (
        Terms(ORG, Level.org, org=LimitTerms(compute_per_s=UNLIMITED, max_sessions=UNLIMITED, starts_per_s=UNLIMITED)),
        Terms(PLAN, Level.org, org=LimitTerms(1, 2, 3, 4, 5)),
    )
    assert said_limits(chain, Level.org).limits() == LevelLimits()


def test_a_place_changes_nothing_of_levels_above_its_own() -> None:
    """A whole project in shadow does not put its org in shadow."""
    chain = (
        Terms(PROJECT, Level.project, is_shadow=True, org=LimitTerms(max_sessions=1)),
        Terms(PLAN, Level.org, org=LimitTerms(max_sessions=3), key=LimitTerms(max_sessions=2)),
    )
    assert said_limits(chain, Level.org).limits() == LevelLimits(max_sessions=3)
    assert said_limits(chain, Level.key).limits() == LevelLimits(max_sessions=2, is_shadow=True)


def test_shadow_of_a_level_goes_over_that_of_its_whole_place_and_under_that_of_a_narrower_one() -> None:
    plan = Terms(PLAN, Level.org, is_shadow=True, org=LimitTerms(is_shadow=False), key=LimitTerms(max_sessions=1))
    assert said_limits((plan,), Level.org).is_shadow == Said(False, (*PLAN, "org"))
    assert said_limits((plan,), Level.key).is_shadow == Said(True, PLAN)
    org = Terms(ORG, Level.org, is_shadow=False)
    assert said_limits((org, plan), Level.key).is_shadow == Said(False, ORG)


def test_a_rate_without_a_burst_may_save_up_a_second_of_it() -> None:
    assert SaidLimits(compute_per_s=Said(7, PLAN)).limits().compute == Rate(per_s=7, burst=7)


def test_levels_of_which_nothing_is_said_have_no_limits() -> None:
    assert said_limits((Terms(PLAN, Level.org),), Level.org) == SaidLimits()
    assert SaidLimits().limits() == LevelLimits()
