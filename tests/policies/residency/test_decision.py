"""Only an allow without errors may be acted on."""

from __future__ import annotations

import pytest

from policies.residency.decision import Decision, Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("decision", "is_allowed"),
    [
        (Decision(Verdict.allow, ("P01",)), True),
        (Decision(Verdict.allow, ("P01",), ("a forbid failed",)), False),
        (Decision(Verdict.deny), False),
        (Decision(Verdict.deny, ("F01",)), False),
        (Decision(Verdict.no_decision, (), ("it does not fit the schema",)), False),
        (Decision(Verdict.no_decision), False),
    ],
)
def test_only_a_clean_allow_allows(decision: Decision, is_allowed: bool) -> None:
    assert decision.is_allowed is is_allowed


def test_what_nobody_says_is_the_careful_thing() -> None:
    situation = Situation("eea")
    assert (situation.data_class, situation.legal_basis) == (DataClass.personal, LegalBasis.unstated)
    assert not situation.has_consent
    assert not situation.subject_countries
    question = Question(situation, Action.process, "r")
    assert (question.capacity, question.trigger) == (CapacityClass.reserved, Trigger.initial)
    assert not question.has_break_glass


def test_two_sessions_alike_are_one_situation() -> None:
    assert (
        len(
            {
                Situation("eea", subject_countries=frozenset({"DE"})),
                Situation("eea", subject_countries=frozenset(["DE"])),
            }
        )
        == 1
    )
