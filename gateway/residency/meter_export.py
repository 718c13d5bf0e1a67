"""What the bundle in force says of usage events: for which receivers' regions a project's may leave, each told once."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import structlog

from gateway.logs import tenant_hash
from policies.residency.decision import Question, Situation
from policies.residency.record import DecisionRecord, Event, RecordContext
from policies.residency.vocabulary import Action, DataClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.decision_log.interface import DecisionLog
    from gateway.residency.in_force import BundlesInForce
    from policies.residency.deciding.table import DecisionTable
    from policies.residency.decision import Decision

log = structlog.get_logger("residency")

_MAX_KNOWN = 100_000


class MeterPolicy:
    """A Permission (gateway.metering.exporter.permission)."""

    def __init__(self, in_force: BundlesInForce, decisions: DecisionLog) -> None:
        self._in_force = in_force
        self._decisions = decisions
        self._known: dict[tuple[str, str], tuple[DecisionTable | None, bool]] = {}

    def permits(self, project: str, region: str) -> bool:
        table, key = self._in_force.table, (project, region)
        known = self._known.get(key)
        if known is not None and known[0] is table:
            return known[1]
        decision = self._decide(project, region)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[key] = (table, decision.is_allowed)
        self._tell(project, region, decision)
        return decision.is_allowed

    def on_change(self, callback: Callable[[], None]) -> None:
        self._in_force.on_change(callback)

    def _decide(self, project: str, region: str) -> Decision:
        """Of a project without a row nobody knows the profile, and so whatever any caller could be has to be permitted:
        the first that is not decides.
        """
        bundle = self._in_force.bundle
        if bundle is None or project in bundle.projects:
            return self._decide_of(self._in_force.situation_of_project(project), region)
        everywhere = frozenset(row.code for row in bundle.jurisdictions)
        decision = self._decide_of(Situation(""), region)
        for profile, data_class, subject in product(sorted(bundle.profiles), DataClass, (frozenset(), everywhere)):
            decision = self._decide_of(Situation(profile, "", data_class, subject), region)
            if not decision.is_allowed:
                break
        return decision

    def _decide_of(self, situation: Situation, region: str) -> Decision:
        return self._in_force.decide(Question(situation, Action.replicate_meter, region))

    def _tell(self, project: str, region: str, decision: Decision) -> None:
        """Once for each project and region under each table: an event is not a decision."""
        org, _, name = project.partition("/")
        if not decision.is_allowed:
            log.warning(
                "meter_export.held",
                tenant=tenant_hash(org),
                project=name,
                sink_region=region,
                rules=decision.rules,
                errors=decision.errors,
            )
        bundle = self._in_force.bundle
        situation = self._in_force.situation_of_project(project)
        self._decisions.record(
            DecisionRecord(
                event=Event.meter_export,
                org=org,
                project=name,
                action=Action.replicate_meter.value,
                chosen=region if decision.is_allowed else "",
                candidate_regions=(region,) if decision.is_allowed else (),
                decision=decision.verdict.value,
                determining_policy_ids=decision.rules,
                errors=decision.errors,
                profile=situation.profile,
                policy_digest="" if bundle is None else bundle.policy_digest,
                entities_digest="" if bundle is None else bundle.entities_digest,
                schema_digest="" if bundle is None else bundle.schema_digest,
                context=RecordContext(
                    data_class=situation.data_class.value,
                    subject=",".join(sorted(situation.subject_countries)),
                    legal_basis=situation.legal_basis.value,
                ),
                detail=f"usage events for receivers in {region}: {'sent' if decision.is_allowed else 'held'}",
            )
        )
