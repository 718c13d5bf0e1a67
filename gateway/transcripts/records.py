"""What stands in the decision log of stored words: never a word, and never who is spoken of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.transcripts.rules import profile_of
from policies.residency.record import DecisionRecord, Event, RecordContext

if TYPE_CHECKING:
    from policies.residency.deciding.table import DecisionTable
    from policies.residency.decision import Decision, Situation
    from policies.residency.vocabulary import Action


def record_about(
    table: DecisionTable | None, project: str, action: Action, decision: Decision, *, here: str, detail: str
) -> DecisionRecord:
    """`project`: `ORG/PROJECT`. Of support access, or of words that are stored or erased."""
    org, _, name = project.partition("/")
    bundle = None if table is None else table.engine.bundle
    return DecisionRecord(
        event=Event.support_access if action is action.support_access else Event.transcript,
        org=org,
        project=name,
        action=action.value,
        chosen=here if decision.is_allowed else "",
        decision=decision.verdict.value,
        determining_policy_ids=decision.rules,
        errors=decision.errors,
        profile=profile_of(table, project),
        policy_digest="" if bundle is None else bundle.policy_digest,
        entities_digest="" if bundle is None else bundle.entities_digest,
        schema_digest="" if bundle is None else bundle.schema_digest,
        detail=detail,
    )


def context_of(situation: Situation) -> RecordContext:
    return RecordContext(
        data_class=situation.data_class.value,
        subject=",".join(sorted(situation.subject_countries)),
        legal_basis=situation.legal_basis.value,
    )
