"""Whatever a topology, an outage and a caller are like, no region is tried that the oracle does not permit.

The long form, a million cases, is `make residency-proof` (tests/proof/__main__.py).
"""

from __future__ import annotations

import pytest

from tests.harness.residency_bundle import residency_files
from tests.proof.__main__ import prove
from tests.proof.bundles import starter_files
from tests.proof.placement import run_placement
from tests.proof.planted import BUGS_WITH_A_FAILING_RULE, FAILING_RULE, HARMLESS_ALONE, PLACEMENT_BUGS, ROUTER_BUGS
from tests.proof.router import run_topology

pytestmark = pytest.mark.unit

SHORT, LONG = 1_500, 1_000_000


def test_nothing_is_tried_that_the_oracle_does_not_permit(is_long: bool) -> None:
    tally = prove(starter_files(), cases=LONG if is_long else SHORT, says_how_far=is_long)
    assert tally.violations == []
    assert tally.examined > tally.cases / 4
    for wanted in ("here", "elsewhere, by a relay", "policy permits no region", "two hops", "may not hear it any more"):
        assert any(wanted in outcome for outcome in tally.outcomes), f"no case in which: {wanted}"


FIRST_TRIED = {"rows_never_end": 1, "placement_keeps_the_first_set": 3}
"""Topologies that are known to show it, where it is not the first. Should they not any more, others will, later."""
MOST_TRIED = 60
SMALL = residency_files()
"""Rules that change with no starter set."""


def topologies(bug: str) -> list[int]:
    first = FIRST_TRIED.get(bug, 0)
    return [first, *(seed for seed in range(MOST_TRIED) if seed != first)]


@pytest.mark.parametrize("bug", ROUTER_BUGS)
def test_a_planted_bug_of_rules_or_router_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ROUTER_BUGS[bug](monkeypatch)
    assert any(run_topology(seed, SMALL, sessions=3).violations for seed in topologies(bug))


@pytest.mark.parametrize("bug", BUGS_WITH_A_FAILING_RULE)
def test_an_allow_in_spite_of_a_rule_that_fails_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = SMALL | {"rules/failing.cedar": FAILING_RULE}
    assert run_topology(0, starter, sessions=2).examined == 0
    BUGS_WITH_A_FAILING_RULE[bug](monkeypatch)
    assert run_topology(0, starter, sessions=2).violations


@pytest.mark.parametrize("bug", PLACEMENT_BUGS)
def test_a_planted_bug_of_placement_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLACEMENT_BUGS[bug](monkeypatch)
    assert any(run_placement(seed, SMALL).violations for seed in topologies(bug))


@pytest.mark.parametrize("bug", HARMLESS_ALONE)
def test_a_question_that_lacks_a_fact_lets_nobody_through(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    HARMLESS_ALONE[bug](monkeypatch)
    tally = run_topology(0, SMALL, sessions=2)
    assert (tally.violations, tally.examined) == ([], 0)
