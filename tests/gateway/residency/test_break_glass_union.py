"""An emergency permission adds what it covers, and nothing that is not permitted with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.residency.break_glass_union import NoGlass, with_break_glass
from policies.residency.decision import Situation
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit

REGIONS = st.frozensets(st.sampled_from("abcd"))
SETS = st.builds(
    Permitted,
    REGIONS,
    REGIONS,
    REGIONS,
    REGIONS,
    st.dictionaries(st.sampled_from("abcd"), st.frozensets(st.sampled_from(CapacityClass), min_size=1)),
)
COVERED = st.frozensets(st.tuples(st.sampled_from(Action), st.sampled_from("abcd")))


@given(SETS, SETS, COVERED)
def test_nothing_is_taken_away_and_only_what_is_covered_is_added(
    without: Permitted, broken: Permitted, covered: frozenset[tuple[Action, str]]
) -> None:
    both = with_break_glass(without, broken, covered)
    for action, name in (
        (Action.terminate, "terminate"),
        (Action.process, "process"),
        (Action.failover, "failover"),
        (Action.store_checkpoint, "checkpoint"),
    ):
        was, with_it, now = getattr(without, name), getattr(broken, name), getattr(both, name)
        assert was <= now <= was | with_it
        assert all((action, region) in covered for region in now - was)
    for region in both.process | both.failover:
        if region in without.process | without.failover:
            assert both.classes_in(region) == without.classes_in(region)


def test_where_nobody_gives_any_there_is_none() -> None:
    assert NoGlass().covering(Situation("eea"), Action.process, "a") == ""
    NoGlass().note_used("x", action="process", region="a")
