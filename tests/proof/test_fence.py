"""Whatever a topology, an outage and a caller are like, no region is tried that the oracle does not permit.

The long form, a million cases, is `make residency-proof` (tests/proof/__main__.py).
"""

from __future__ import annotations

import pytest

from tests.proof.__main__ import prove
from tests.proof.bundles import starter_files
from tests.proof.placement import run_placement
from tests.proof.planted import HARMLESS_ALONE, PLACEMENT_BUGS, ROUTER_BUGS
from tests.proof.router import run_topology

pytestmark = pytest.mark.unit

SHORT, LONG = 2_000, 1_000_000


def test_nothing_is_tried_that_the_oracle_does_not_permit(is_long: bool) -> None:
    tally = prove(starter_files(), cases=LONG if is_long else SHORT, says_how_far=is_long)
    assert tally.violations == []
    assert tally.examined > tally.cases / 4
    for wanted in ("here", "elsewhere, by a relay", "policy permits no region", "two hops", "may not hear it any more"):
        assert any(wanted in outcome for outcome in tally.outcomes), f"no case in which: {wanted}"


FIRST_TRIED = {
    "draining_regions_are_tried": 3,
    "router_ignores_machines": 14,
    "relays_are_not_asked": 10,
    "machines_are_not_told": 11,
    "what_goes_on_may_be_where_it_could_begin": 10,
    "the_table_is_never_made_anew": 2,
    "rows_never_end": 4,
    "speakers_are_from_nowhere": 3,
    "the_bundle_never_ends": 2,
    "break_glass_opens_everything": 1,
    "placement_keeps_the_first_set": 1,
}
"""Topologies that are known to show it. Should they not any more, others will: it only takes longer."""
MOST_TRIED = 60


def topologies(bug: str) -> list[int]:
    first = FIRST_TRIED.get(bug, 0)
    return [first, *(seed for seed in range(MOST_TRIED) if seed != first)]


@pytest.mark.parametrize("bug", ROUTER_BUGS)
def test_a_planted_bug_of_rules_or_router_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ROUTER_BUGS[bug](monkeypatch)
    assert any(run_topology(seed, starter_files(), sessions=6).violations for seed in topologies(bug))


@pytest.mark.parametrize("bug", PLACEMENT_BUGS)
def test_a_planted_bug_of_placement_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLACEMENT_BUGS[bug](monkeypatch)
    assert any(run_placement(seed, starter_files()).violations for seed in topologies(bug))


@pytest.mark.parametrize("bug", HARMLESS_ALONE)
def test_a_question_that_lacks_a_fact_lets_nobody_through(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    HARMLESS_ALONE[bug](monkeypatch)
    tally = run_topology(0, starter_files(), sessions=2)
    assert (tally.violations, tally.examined) == ([], 0)
