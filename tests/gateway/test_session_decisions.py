"""What is on record of sessions, and who is refused while nothing can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.admission.policy_sets import PolicyDigests, PolicySet
from gateway.errors import Reason, SessionRefused, Unavailable, WrongRegion
from gateway.reception import Reception
from gateway.session_decisions import SessionDecisions, refusal_while_unwritable, who_calls
from gateway.wire.messages import Start
from policies.facts import Caller
from policies.plan_book import key_pseudonym
from policies.plans import CallerPlan, WhenLogUnwritable
from policies.residency.decision import Decision, Situation
from policies.residency.permitted import Permitted
from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.situation import NOTHING_STATED
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass
from regions.placing import Placed
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.fakes.plans import UnlimitedPlans
from tests.fakes.policy_sets import GivenPolicySets

CALLER = Caller("acme", "dictation", "secret subject", "", frozenset(), "eu-strict", 0)
SITUATION = Situation(
    "eu-strict", "acme/dictation", DataClass.special_category, frozenset({"FR", "DE"}), True, LegalBasis.consent
)
POLICIES = PolicySet(
    Permitted(frozenset({"here"}), frozenset({"here", "eu-2"}), frozenset({"eu-2"}), frozenset({"here"})),
    "eu-strict",
    SITUATION,
    is_restricted=True,
    digests=PolicyDigests("7", "p" * 64, "e" * 64, "s" * 64),
)


class Kept:
    """A DecisionLog in a list."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []
        self.is_writable = True

    def record(self, record: DecisionRecord) -> None:
        self.records.append(record)


class ByRules(GivenPolicySets):
    """Answers as a bundle does."""

    def decision_on(
        self,
        policies: PolicySet,
        action: Action,
        region: str,
        *,
        capacity: CapacityClass = CapacityClass.reserved,
        trigger: Trigger = Trigger.initial,
    ) -> Decision | None:
        return Decision(Verdict.allow, ("P02", "P01", f"for-{action.value}-{trigger.value}"))

    def rules_against(self, policies: PolicySet, action: Action, region: str) -> tuple[str, ...]:
        return (f"F01-{region}",)


def decisions(log: Kept, sets: GivenPolicySets | None = None) -> SessionDecisions:
    sets = ByRules(lambda _caller: POLICIES) if sets is None else sets
    return SessionDecisions(log, sets, here="here", covering=lambda *_asked: "bg-1", now_us=iter(range(10**6)).__next__)


@pytest.mark.unit
def test_a_refusal_of_policy_is_on_record_with_the_rules_and_no_name_of_anybody() -> None:
    log = Kept()
    decisions(log).refused(CALLER, NOTHING_STATED, POLICIES, WrongRegion("not here", ("ws://eu-2",)), 250)
    (record,) = log.records
    assert record == DecisionRecord(
        event=Event.admission,
        org="acme",
        project="dictation",
        key_id=key_pseudonym("secret subject"),
        action="terminate",
        candidate_regions=("here",),
        decision="Deny",
        determining_policy_ids=("F01-here",),
        profile="eu-strict",
        policy_digest="p" * 64,
        entities_digest="e" * 64,
        schema_digest="s" * 64,
        context=RecordContext(data_class="special-category", subject="DE,FR", legal_basis="consent"),
        latency_us=250,
        detail="wrong_region: not here",
    )
    assert "secret subject" not in repr(record)


@pytest.mark.unit
def test_a_refusal_that_policy_did_not_make_is_not_on_record() -> None:
    log = Kept()
    decisions(log).refused(CALLER, NOTHING_STATED, POLICIES, Unavailable(Reason.no_capacity), 1)
    assert log.records == []
    decisions(log).refused(CALLER, NOTHING_STATED, None, SessionRefused(Reason.residency_unknown_profile), 1)
    assert (log.records[0].decision, log.records[0].profile) == ("Deny", "")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("trigger", "goes_on", "event", "action"),
    [
        (Trigger.initial, False, Event.placement, "process"),
        (Trigger.failover, True, Event.failover, "failover"),
        (Trigger.drain, True, Event.drain, "failover"),
        (Trigger.rebalance, True, Event.placement, "failover"),
    ],
)
def test_every_placement_is_on_record_with_why_and_from_where(
    trigger: Trigger, goes_on: bool, event: Event, action: str
) -> None:
    log = Kept()
    made = decisions(log)
    session = made.begin_for("session", who_calls(CALLER), POLICIES)
    session.placed(Placed(trigger, "here", "eu-2", CapacityClass.spot, frozenset({"eu-2", "eu-1"}), goes_on))
    (record,) = log.records
    assert (record.event, record.action, record.trigger, record.decision) == (event, action, trigger.value, "Allow")
    assert (record.from_region, record.chosen, record.candidate_regions) == ("here", "eu-2", ("eu-1", "eu-2"))
    assert record.determining_policy_ids == ("P01", "P02", f"for-{action}-{trigger.value}")
    assert (record.context.capacity, record.context.break_glass) == ("spot", "bg-1")
    assert record.latency_us == 1
    assert session.region == "eu-2"


@pytest.mark.unit
def test_where_policy_leaves_no_region_the_denial_is_on_record() -> None:
    log = Kept()
    session = decisions(log).begin_for("session", who_calls(CALLER), POLICIES)
    session.placed(Placed(Trigger.failover, "eu-2", "", None, frozenset(), True))
    (record,) = log.records
    assert (record.decision, record.chosen, record.determining_policy_ids) == ("Deny", "", ("F01-eu-2",))


@pytest.mark.unit
def test_a_session_that_has_to_end_is_on_record_by_the_set_that_holds_by_then() -> None:
    log = Kept()
    made = decisions(log)
    session = made.begin_for("session", who_calls(CALLER), POLICIES)
    runner = object()
    made.lives(runner, session)
    session.permit(replace(POLICIES, profile="narrower"))
    made.outside(runner, SessionRefused(Reason.wrong_region), True)
    made.ended(runner)
    made.outside(runner, SessionRefused(Reason.wrong_region), True)
    (record,) = log.records
    assert (record.event, record.session, record.profile) == (Event.session_outside, "session", "narrower")
    assert record.detail == "wrong_region: it ends at once"


@pytest.mark.unit
def test_lists_of_regions_are_named_as_the_rule_that_they_are() -> None:
    log = Kept()
    made = decisions(log, GivenPolicySets.all_in("here"))
    policies = PolicySet.of_list(frozenset({"here"}), "eu")
    made.begin_for("session", who_calls(CALLER), policies).placed(
        Placed(Trigger.initial, "", "here", None, frozenset({"here"}), False)
    )
    assert log.records[0].determining_policy_ids == ("list:eu",)


def plan(when: WhenLogUnwritable) -> CallerPlan:
    return replace(UnlimitedPlans().resolve(CALLER), when_log_unwritable=when)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("is_writable", "is_restricted", "when", "is_refused"),
    [
        (True, True, WhenLogUnwritable.refuse, False),
        (False, True, WhenLogUnwritable.admit, True),
        (False, True, WhenLogUnwritable.refuse, True),
        (False, False, WhenLogUnwritable.refuse, True),
        (False, False, WhenLogUnwritable.admit, False),
    ],
)
def test_restricted_sessions_need_a_record_and_others_as_their_plan_says(
    is_writable: bool, is_restricted: bool, when: WhenLogUnwritable, is_refused: bool
) -> None:
    log = Kept()
    log.is_writable = is_writable
    refusal = refusal_while_unwritable(log, plan(when), is_restricted=is_restricted)
    assert (refusal is not None) == is_refused
    if refusal is not None:
        assert (refusal.reason, refusal.retry_after_ms) == (Reason.decision_log_unwritable, 2_000)


class Port:
    def pause(self) -> None: ...
    def resume(self) -> None: ...


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    sets = GivenPolicySets(lambda _caller: replace(POLICIES, situation=None))
    async with running_gateway(
        tmp_path, asyncio.get_running_loop(), steps=lambda steps: replace(steps, policies=sets)
    ) as running:
        yield running


@pytest.mark.integration
async def test_at_a_gateway_a_session_is_on_record_or_is_not_let_in(gateway: GatewayInProcess) -> None:
    log = Kept()
    house = gateway.reception._house
    on_record = SessionDecisions(log, house.admission.policies, here="here")
    house.admission.on_record = on_record
    reception = Reception(replace(house, decisions=on_record))
    request = reception.read_start(Start(token=gateway.token()))
    guest = await reception.admit_start(request, None, None)
    runner = reception.begin(guest, request, Port(), transport="test")
    assert [(one.event, one.decision, one.chosen) for one in log.records] == [(Event.admission, "Allow", "here")]
    assert log.records[0].session == guest.admitted.session_id
    runner.client_gone()
    log.is_writable = False
    with pytest.raises(Unavailable) as refused:
        await reception.admit_start(request, None, None)
    assert refused.value.reason is Reason.decision_log_unwritable
    assert house.admission._steps.limits.num_sessions == 0, "no place is taken"
