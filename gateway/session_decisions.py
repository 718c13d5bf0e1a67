"""What is written down of each session: why it was let in or not, where it was placed, and why it had to move or end.

No audio, no words, no address: a caller is an org, a project and a pseudonym of the token's subject, and where he is
seen to be is at most a country.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import Reason, SessionRefused, Unavailable
from policies.plan_book import key_pseudonym
from policies.plans import WhenLogUnwritable
from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.vocabulary import Action, Trigger, Verdict
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.admit import Admitted
    from gateway.admission.policy_sets import PolicySet, PolicySets
    from gateway.decision_log.interface import DecisionLog
    from policies.facts import Caller
    from policies.plans import CallerPlan
    from policies.residency.decision import Decision, Situation
    from policies.residency.situation import Stated
    from regions.placing import Placed

_EVENTS = {
    Trigger.initial: Event.placement,
    Trigger.rebalance: Event.placement,
    Trigger.failover: Event.failover,
    Trigger.drain: Event.drain,
}
_OF_POLICY = frozenset(reason for reason in Reason if reason.value.startswith("residency_")) | {Reason.wrong_region}
"""Refusals that are decisions of policy, and so on record."""


def monotonic_us() -> int:
    return time.monotonic_ns() // 1_000


def refusal_while_unwritable(log: DecisionLog, plan: CallerPlan, *, is_restricted: bool) -> SessionRefused | None:
    """Why a session may not begin while nothing can be written down of it; None: it may, or the log can be written."""
    if log.is_writable:
        return None
    if is_restricted or plan.when_log_unwritable is WhenLogUnwritable.refuse:
        return Unavailable(Reason.decision_log_unwritable)
    return None


@dataclass(frozen=True, slots=True)
class Who:
    """Of whom a record is."""

    org: str = ""
    project: str = ""
    key_id: str = ""


def who_calls(caller: Caller) -> Who:
    return Who(caller.tenant, caller.project, key_pseudonym(caller.subject))


class SessionDecisions:
    """Gives them to the log. Nothing here waits or raises.

    Args:
        here: this gateway's region.
        policies: is asked by which rules a region was permitted.
        covering: gives the id of the emergency permission that covers it; empty: none does.
    """

    def __init__(
        self,
        log: DecisionLog,
        policies: PolicySets,
        *,
        here: str,
        covering: Callable[[Situation, Action, str], str] = lambda *_asked: "",
        now_us: Callable[[], int] = monotonic_us,
    ) -> None:
        self.log = log
        self._policies = policies
        self._here = here
        self._covering = covering
        self._now_us = now_us
        self._live: dict[object, SessionOnRecord] = {}

    def unrecordable(self, policies: PolicySet, plan: CallerPlan) -> SessionRefused | None:
        """See `refusal_while_unwritable`."""
        return refusal_while_unwritable(self.log, plan, is_restricted=policies.is_restricted)

    def refused(
        self, caller: Caller, request: Stated, policies: PolicySet | None, refusal: SessionRefused, decide_us: int
    ) -> None:
        """Policy did not let him in; other refusals are no decisions of policy. `policies`: as far as he has any."""
        if refusal.reason not in _OF_POLICY:
            return
        rules: tuple[str, ...] = ()
        errors: tuple[str, ...] = ()
        if policies is not None:
            rules = self._policies.rules_against(policies, Action.terminate, self._here)
            decision = self._policies.decision_on(policies, Action.terminate, self._here)
            errors = () if decision is None else decision.errors
        self._write(
            Event.admission,
            Action.terminate,
            who_calls(caller),
            policies,
            verdict=Verdict.deny,
            candidates=() if policies is None else policies.permitted.terminate,
            rules=rules,
            errors=errors,
            latency_us=decide_us,
            detail=f"{refusal.reason.value}: {refusal.detail}",
        )

    def begin(self, session_id: str, admitted: Admitted, *, goes_on: bool) -> SessionOnRecord:
        """A session is let in; what becomes of it is told to what is returned."""
        record = self.begin_for(session_id, who_calls(admitted.caller), admitted.policies)
        began_us = self._now_us()
        decision = self._policies.decision_on(admitted.policies, Action.terminate, self._here)
        self._write(
            Event.admission,
            Action.terminate,
            record.who,
            admitted.policies,
            session=session_id,
            chosen=self._here,
            candidates=admitted.policies.permitted.terminate,
            rules=_rules_of(decision, admitted.policies),
            latency_us=admitted.decide_us or self._now_us() - began_us,
            detail="it goes on from another connection" if goes_on else "",
        )
        return record

    def begin_for(self, session_id: str, who: Who, policies: PolicySet) -> SessionOnRecord:
        """A session of which nothing is on record yet."""
        return SessionOnRecord(self, session_id, who, policies)

    def lives(self, runner: object, record: SessionOnRecord) -> None:
        self._live[runner] = record

    def ended(self, runner: object) -> None:
        self._live.pop(runner, None)

    def outside(self, runner: object, refusal: SessionRefused, is_at_once: bool) -> None:
        """A live session may not be here any more, and ends."""
        record = self._live.get(runner)
        if record is not None:
            record.outside(refusal, is_at_once=is_at_once)

    def placed(self, record: SessionOnRecord, placed: Placed) -> None:
        policies = record.policies
        action = Action.failover if placed.goes_on else Action.process
        capacity = placed.capacity or CapacityClass.reserved
        began_us = self._now_us()
        rules: tuple[str, ...] = ()
        errors: tuple[str, ...] = ()
        if placed.chosen:
            decision = self._policies.decision_on(
                policies, action, placed.chosen, capacity=capacity, trigger=placed.trigger
            )
            rules = _rules_of(decision, policies)
        else:
            rules = self._policies.rules_against(policies, action, placed.from_region or self._here)
        self._write(
            _EVENTS[placed.trigger],
            action,
            record.who,
            policies,
            session=record.session_id,
            verdict=Verdict.allow if placed.chosen else Verdict.deny,
            trigger=placed.trigger,
            from_region=placed.from_region,
            chosen=placed.chosen,
            candidates=placed.permitted,
            rules=rules,
            errors=errors,
            capacity="" if placed.capacity is None else placed.capacity.value,
            latency_us=self._now_us() - began_us,
        )

    def session_outside(self, record: SessionOnRecord, refusal: SessionRefused, *, is_at_once: bool) -> None:
        self._write(
            Event.session_outside,
            Action.terminate,
            record.who,
            record.policies,
            session=record.session_id,
            verdict=Verdict.deny,
            from_region=record.region or self._here,
            candidates=record.policies.permitted.terminate,
            rules=self._policies.rules_against(record.policies, Action.terminate, self._here),
            detail=f"{refusal.reason.value}: it ends {'at once' if is_at_once else 'at its next commit point'}",
        )

    def _write(  # noqa: PLR0913 - the fields of a record
        self,
        event: Event,
        action: Action,
        who: Who,
        policies: PolicySet | None,
        *,
        session: str = "",
        verdict: Verdict = Verdict.allow,
        trigger: Trigger | None = None,
        from_region: str = "",
        chosen: str = "",
        candidates: frozenset[str] | tuple[str, ...] = (),
        rules: tuple[str, ...] = (),
        errors: tuple[str, ...] = (),
        capacity: str = "",
        latency_us: int = 0,
        detail: str = "",
    ) -> None:
        self.log.record(
            DecisionRecord(
                event=event,
                session=session,
                org=who.org,
                project=who.project,
                key_id=who.key_id,
                action=action.value,
                trigger="" if trigger is None else trigger.value,
                from_region=from_region,
                candidate_regions=tuple(sorted(candidates)),
                chosen=chosen,
                decision=verdict.value,
                determining_policy_ids=rules,
                errors=errors,
                profile="" if policies is None else policies.profile,
                policy_digest="" if policies is None else policies.digests.policy,
                entities_digest="" if policies is None else policies.digests.entities,
                schema_digest="" if policies is None else policies.digests.schema,
                context=self._context(policies, action, chosen, capacity),
                latency_us=latency_us,
                detail=detail,
            )
        )

    def _context(self, policies: PolicySet | None, action: Action, chosen: str, capacity: str) -> RecordContext:
        situation = None if policies is None else policies.situation
        if situation is None:
            return RecordContext(capacity=capacity)
        return RecordContext(
            data_class=situation.data_class.value,
            subject=",".join(sorted(situation.subject_countries)),
            legal_basis=situation.legal_basis.value,
            capacity=capacity,
            break_glass=self._covering(situation, action, chosen) if chosen else "",
        )


class SessionOnRecord:
    """One session, as records name it. `policies` is replaced when its set is another one."""

    def __init__(self, decisions: SessionDecisions, session_id: str, who: Who, policies: PolicySet) -> None:
        self._decisions = decisions
        self.session_id = session_id
        self.who = who
        self.policies = policies
        self.region = ""
        """Where its engine is; empty: nowhere yet."""

    def placed(self, placed: Placed) -> None:
        """See regions.placing.SessionPlace.on_placed."""
        self._decisions.placed(self, placed)
        self.region = placed.chosen or self.region

    def permit(self, policies: PolicySet) -> None:
        self.policies = policies

    def outside(self, refusal: SessionRefused, *, is_at_once: bool) -> None:
        self._decisions.session_outside(self, refusal, is_at_once=is_at_once)


def _rules_of(decision: Decision | None, policies: PolicySet) -> tuple[str, ...]:
    """Of lists of regions, the list: it is all the rule there is."""
    if decision is not None:
        return tuple(sorted(decision.rules))
    return (f"list:{policies.profile or 'default'}",)
