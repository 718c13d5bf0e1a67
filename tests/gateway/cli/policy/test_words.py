"""Questions, answers and periods are said so that nobody needs to know how they are asked."""

from __future__ import annotations

import pytest

from gateway.cli.policy.words import (
    bundle_json,
    bundle_words,
    decision_json,
    decision_words,
    periods_words,
    question_json,
    question_words,
    values_words,
)
from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import FAR_S
from policies.residency.decision import Decision, Question, Situation
from policies.residency.review.question_space import DIMENSIONS
from policies.residency.vocabulary import Action, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass
from tests.harness.residency_bundle import residency_files

pytestmark = pytest.mark.unit

PLAIN = Question(Situation("eea", subject_countries=frozenset({"DE"})), Action.relay, "eu-west-1")
ODD = Question(
    Situation("eea", project="acme/calls", has_consent=True, legal_basis=LegalBasis.contract),
    Action.failover,
    "eu-west-1",
    CapacityClass.spot,
    Trigger.drain,
    is_draining=True,
    has_break_glass=True,
)


def test_a_question_is_a_sentence() -> None:
    assert question_words(PLAIN) == "a caller of eea: relay in eu-west-1, personal data, speaker in DE"
    assert question_words(ODD) == (
        "acme/calls: failover in eu-west-1, personal data, speaker in a country that is not known, spot machine, "
        "with consent, legal basis contract, because of drain, the region is being emptied, "
        "with an emergency permission"
    )


def test_an_answer_says_why() -> None:
    assert decision_words(Decision(Verdict.allow, ("P01",))) == "allowed (P01)"
    assert decision_words(Decision(Verdict.deny)) == "denied (no rule permits it)"
    assert decision_words(Decision(Verdict.deny, errors=("unknown region 'x'",))) == "denied (unknown region 'x')"


def test_days_are_days() -> None:
    assert periods_words([(0, 86_400), (172_800, FAR_S)]) == "1970-01-01 to 1970-01-02; from 1970-01-03"


def test_only_what_makes_a_difference_is_named() -> None:
    every = {name: frozenset({"a", "b", "c"}) for name in DIMENSIONS}
    assert values_words(every, every) == ""
    kept = {**every, "data class": frozenset({"a"}), "consent": frozenset({"a", "b"})}
    assert values_words(kept, every) == "data class: a; consent: all but c"


def test_programs_get_the_same() -> None:
    bundle = read_bundle(residency_files())
    assert bundle_words(bundle) == f"test 1 ({bundle.digest[:12]})"
    assert bundle_json(bundle)["expires_at"] == "2027-01-01T00:00:00Z"
    assert question_json(ODD)["trigger"] == "drain"
    assert decision_json(Decision(Verdict.allow, ("P01",)))["rules"] == ["P01"]
