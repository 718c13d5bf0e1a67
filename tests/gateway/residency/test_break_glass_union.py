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
    for name in ("process", "failover"):
        for region in getattr(both, name):
            by = without if region in getattr(without, name) else broken
            assert both.classes_in(region) <= by.classes_in(region)


def test_what_is_added_in_a_region_is_only_on_machines_that_the_rules_permit_for_it() -> None:
    here = frozenset("a")
    reserved = frozenset({CapacityClass.reserved})
    broken = Permitted(process=here, failover=here, classes={"a": reserved})
    both = with_break_glass(Permitted(process=here), broken, frozenset({(Action.failover, "a")}))
    assert (both.failover, both.classes_in("a")) == (here, reserved)
    unchanged = with_break_glass(Permitted(process=here), broken, frozenset())
    assert unchanged.classes_in("a") == frozenset(CapacityClass)


def test_where_nobody_gives_any_there_is_none() -> None:
    assert NoGlass().covering(Situation("eea"), Action.process, "a") == ""
    NoGlass().note_used("x", action="process", region="a")
