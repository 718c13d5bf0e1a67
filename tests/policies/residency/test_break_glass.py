"""Promises of emergency permissions: what one covers, for how long, and that it never covers more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.break_glass import LONGEST_S, Permission, Permissions, PermissionState, mistakes_in

pytestmark = pytest.mark.unit

OPEN = Permission(
    id="0123456789ab",
    person="ada",
    approver="grace",
    ticket="INC-7",
    reason="a caller hears nothing",
    actions=("support_access",),
    project="acme/clinic",
    regions=("eu-1",),
    given_at_s=1_000,
    not_after_s=2_000,
    state=PermissionState.open,
)
ASKED = {"project": "acme/clinic", "action": "support_access", "region": "eu-1"}


def test_it_covers_what_it_names_until_it_ends() -> None:
    assert OPEN.covers(**ASKED, now_s=1_999.9)
    assert not OPEN.covers(**ASKED, now_s=2_000)


@pytest.mark.parametrize("state", [PermissionState.pending, PermissionState.closed])
def test_it_covers_nothing_before_a_second_person_agreed_or_after_it_was_closed(state: PermissionState) -> None:
    assert not replace(OPEN, state=state).covers(**ASKED, now_s=1_500)


@pytest.mark.parametrize(
    "written", [{"approver": ""}, {"approver": "ada"}, {"person": ""}, {"not_after_s": 1_000 + LONGEST_S + 1}]
)
def test_what_no_two_people_could_have_opened_covers_nothing(written: dict[str, Any]) -> None:
    """One person who may write to Redis, or to the copy, could have put it there."""
    forged = replace(OPEN, **written)
    assert not forged.covers(**ASKED, now_s=1_500)
    assert Permissions(1, (forged,)).opened(1_500) == ()


@pytest.mark.parametrize(
    "other", [{"project": "acme/other"}, {"project": ""}, {"action": "process"}, {"region": "us-1"}]
)
def test_it_covers_nothing_else(other: dict[str, str]) -> None:
    assert not OPEN.covers(**{**ASKED, **other}, now_s=1_500)


def test_a_whole_org_is_covered_where_it_says_so_and_no_other_one() -> None:
    every = replace(OPEN, project="acme/*")
    assert every.covers(**ASKED, now_s=1_500)
    assert not every.covers(**{**ASKED, "project": "acme2/clinic"}, now_s=1_500)


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12), st.floats(0, 5_000))
def test_nothing_is_covered_that_is_not_named_whatever_is_asked(
    project: str, action: str, region: str, now_s: float
) -> None:
    covered = OPEN.covers(project=project, action=action, region=region, now_s=now_s)
    assert covered == ((project, action, region) == ("acme/clinic", "support_access", "eu-1") and now_s < 2_000)


def test_of_several_the_one_that_ends_last_is_named() -> None:
    later = replace(OPEN, id="later0000000", not_after_s=3_000)
    both = Permissions(2, (later, OPEN))
    assert both.covering(**ASKED, now_s=1_500) == later
    assert both.covering(**ASKED, now_s=3_000) is None
    assert both.opened(2_500) == (later,)


def test_a_wish_is_told_every_mistake_at_once() -> None:
    mistakes = mistakes_in(actions=("listen",), project="acme", regions=(), ticket="", reason="")
    assert [mistake.partition(":")[0] for mistake in mistakes] == ["actions", "regions", "project", "ticket", "reason"]
    assert mistakes_in(actions=("process",), project="acme/*", regions=("r",), ticket="T", reason="why") == ()


@pytest.mark.parametrize("project", ["*/*", "/clinic", "acme/", "acme/a/b", "*"])
def test_no_wish_is_about_all_orgs(project: str) -> None:
    assert mistakes_in(actions=("process",), project=project, regions=("r",), ticket="T", reason="why")
