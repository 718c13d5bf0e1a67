"""What the bundle in force says about the words of a session, and of a project. Without one, nothing is permitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.residency.decision import Decision, Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Verdict
from policies.retention import (
    KeepingFacts,
    NotErased,
    NotKept,
    Wish,
    keep_until_s,
    reason_not_to_erase,
    reason_not_to_keep,
)

if TYPE_CHECKING:
    from policies.residency.bundles.rows import Project
    from policies.residency.deciding.table import DecisionTable

_NO_BUNDLE = Decision(Verdict.no_decision, (), ("no bundle is in force",))
_NO_ROW = Decision(Verdict.no_decision, (), ("the bundle has no row for this project",))


@dataclass(frozen=True, slots=True)
class Ruling:
    """`why_not` None: words are kept. `table`: that was asked; another one may say otherwise."""

    table: DecisionTable | None
    why_not: NotKept | None
    decision: Decision
    wish: Wish | None = None

    @property
    def policy_digest(self) -> str:
        return "" if self.table is None else self.table.engine.bundle.policy_digest

    def keep_until_s(self, begun_at_s: int) -> int:
        if self.wish is None:
            return begun_at_s
        return keep_until_s(self.wish, begun_at_s=begun_at_s)


def ruling_of(table: DecisionTable | None, situation: Situation | None, *, here: str, has_subject: bool) -> Ruling:
    """Whether the words of a session in this situation are kept here."""
    row = None if table is None or situation is None else table.engine.bundle.projects.get(situation.project)
    if table is None or situation is None or row is None or row.transcripts is None:
        return Ruling(table, NotKept.not_asked, _NO_BUNDLE)
    wish = Wish(row.transcripts.region, row.transcripts.days)
    decision = table.decide(Question(situation, Action.store_transcript, here))
    profile = table.engine.bundle.profiles.get(row.profile)
    facts = KeepingFacts(
        wish=wish,
        here=here,
        has_subject=has_subject,
        requires_consent=profile is None or profile.requires_consent,
        has_consent=situation.has_consent,
        is_permitted=decision.is_allowed,
    )
    return Ruling(table, reason_not_to_keep(facts), decision, wish)


def erasure_of(table: DecisionTable | None, project: str, *, here: str) -> tuple[NotErased | None, Decision]:
    """Why words of a project may not be erased; None: they may. Without a bundle nobody knows of holds: they stay."""
    situation = situation_of_project(table, project)
    if table is None or situation is None:
        return NotErased.not_permitted, _NO_BUNDLE if table is None else _NO_ROW
    row = table.engine.bundle.projects[project]
    decision = table.decide(Question(situation, Action.erase_transcript, here))
    return reason_not_to_erase(has_legal_hold=row.legal_hold, is_permitted=decision.is_allowed), decision


def decide_for_project(
    table: DecisionTable | None, project: str, action: Action, region: str, *, has_break_glass: bool = False
) -> Decision:
    """Policy's decision where there is no session: by what the project's row says of its callers."""
    situation = situation_of_project(table, project)
    if table is None or situation is None:
        return _NO_BUNDLE if table is None else _NO_ROW
    return table.decide(Question(situation, action, region, has_break_glass=has_break_glass))


def situation_of_project(table: DecisionTable | None, project: str) -> Situation | None:
    """What a project's row says; None: it has none."""
    row: Project | None = None if table is None else table.engine.bundle.projects.get(project)
    if row is None:
        return None
    return Situation(
        profile=row.profile,
        project=project,
        data_class=DataClass.personal if row.data_class is None else row.data_class,
        subject_countries=frozenset({row.subject_country} if row.subject_country else ()),
        legal_basis=LegalBasis.unstated if row.legal_basis is None else row.legal_basis,
    )


def profile_of(table: DecisionTable | None, project: str) -> str:
    """Its profile; empty where it is not known."""
    row = None if table is None else table.engine.bundle.projects.get(project)
    return "" if row is None else row.profile
