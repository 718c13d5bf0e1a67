"""Promises of the rule that says when an engine leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.preemption import (
    MAINTENANCE_AHEAD_MS,
    PLANNED_LEAVE_MS,
    Confidence,
    LeavePlan,
    MachineAction,
    NoticeKind,
    PreemptionNotice,
    leave_plan,
)

pytestmark = pytest.mark.unit

NOTICED_AT_MS = 1_000_000


def notice(
    kind: NoticeKind = NoticeKind.interruption,
    action: MachineAction = MachineAction.terminate,
    *,
    lead_ms: int | None = None,
    is_proven: bool = False,
) -> PreemptionNotice:
    return PreemptionNotice(
        source="x",
        event_id="e",
        kind=kind,
        action=action,
        told_at_ms=NOTICED_AT_MS,
        lead_ms=lead_ms,
        confidence=Confidence.proven if is_proven else Confidence.unproven,
    )


def plan(begin_ms: int | None, leave_ms: int, hand_back_ms: int) -> LeavePlan:
    """All from when it was noticed."""
    begin_at_ms = None if begin_ms is None else NOTICED_AT_MS + begin_ms
    return LeavePlan(begin_at_ms, NOTICED_AT_MS + leave_ms, NOTICED_AT_MS + hand_back_ms)


@pytest.mark.parametrize("lead_ms", [None, 30_000, 120_000])
def test_a_lead_that_is_not_proven_counts_as_30_s_and_the_drain_plans_for_15(lead_ms: int | None) -> None:
    assert leave_plan(notice(lead_ms=lead_ms)) == plan(0, 15_000, 15_000)


def test_a_shorter_lead_is_halved() -> None:
    assert leave_plan(notice(lead_ms=8_000)) == plan(0, 4_000, 4_000)


def test_of_a_proven_lead_streams_that_find_no_place_may_use_most() -> None:
    assert leave_plan(notice(lead_ms=120_000, is_proven=True)) == plan(0, 15_000, 105_000)


def test_hibernation_leaves_no_time_whatever_it_says() -> None:
    hibernates = notice(action=MachineAction.hibernate, lead_ms=120_000, is_proven=True)
    assert leave_plan(hibernates) == plan(0, 0, 0)


def test_a_rebalance_recommendation_makes_nobody_leave_unless_that_is_wished() -> None:
    rebalance = notice(NoticeKind.rebalance, MachineAction.unknown)
    assert leave_plan(rebalance).begin_at_ms is None
    assert leave_plan(rebalance, drains_on=frozenset({NoticeKind.rebalance})) == plan(0, 15_000, 15_000)


def test_maintenance_that_is_days_away_begins_two_minutes_before_it() -> None:
    week_ms = 7 * 24 * 3_600_000
    redeploy = notice(NoticeKind.maintenance, MachineAction.restart, lead_ms=week_ms, is_proven=True)
    begin_ms = week_ms - MAINTENANCE_AHEAD_MS
    assert leave_plan(redeploy) == plan(begin_ms, begin_ms + 15_000, week_ms - 15_000)


def test_a_machine_that_freezes_for_seconds_is_only_at_risk() -> None:
    assert leave_plan(notice(NoticeKind.maintenance, MachineAction.freeze, lead_ms=0)).begin_at_ms is None


@pytest.mark.parametrize("kind", [NoticeKind.operator, NoticeKind.shutdown])
def test_who_ends_the_engine_gets_the_time_that_he_names(kind: NoticeKind) -> None:
    assert leave_plan(notice(kind, lead_ms=600_000, is_proven=True)) == plan(0, 600_000, 600_000)
    assert leave_plan(notice(kind, lead_ms=100, is_proven=True)) == plan(0, 100, 100)


@given(
    kind=st.sampled_from(NoticeKind),
    action=st.sampled_from(MachineAction),
    lead_ms=st.none() | st.integers(-1_000, 10**9),
    is_proven=st.booleans(),
    drains_on=st.frozensets(st.sampled_from(NoticeKind)),
)
def test_nothing_is_planned_before_the_notice_or_after_the_machine_is_gone(
    kind: NoticeKind, action: MachineAction, lead_ms: int | None, is_proven: bool, drains_on: frozenset[NoticeKind]
) -> None:
    told = notice(kind, action, lead_ms=lead_ms, is_proven=is_proven)
    planned = leave_plan(told, drains_on=drains_on)
    assert NOTICED_AT_MS <= planned.leave_by_ms <= planned.hand_back_at_ms
    if lead_ms is not None:
        assert planned.hand_back_at_ms <= NOTICED_AT_MS + max(0, lead_ms)
    if planned.begin_at_ms is not None:
        assert NOTICED_AT_MS <= planned.begin_at_ms <= planned.leave_by_ms
        if kind not in (NoticeKind.operator, NoticeKind.shutdown):
            assert planned.leave_by_ms - planned.begin_at_ms <= PLANNED_LEAVE_MS
