"""An answer is explained by what decided it, and a refusal by what was missing."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.decision import Question, Situation
from policies.residency.review.explain import Explanation, explain, rule_told
from policies.residency.vocabulary import Action, DataClass, Verdict
from policies.routing_facts import CapacityClass
from tests.harness.residency_bundle import NOON_S, RULES, residency_files, rule

pytestmark = pytest.mark.unit

GERMAN = frozenset({"DE"})


def explained(
    profile: str,
    region: str,
    action: Action = Action.process,
    *,
    data_class: DataClass = DataClass.personal,
    capacity: CapacityClass = CapacityClass.reserved,
    bundle: Bundle | None = None,
) -> Explanation:
    situation = Situation(profile, data_class=data_class, subject_countries=GERMAN)
    question = Question(situation, action, region, capacity)
    return explain(bundle or read_bundle(residency_files()), question, NOON_S)


def test_an_allow_names_its_rule_with_all_that_stands_on_it() -> None:
    found = explained("eea", "no-east-1")
    (deciding,) = found.deciding
    assert (found.decision.is_allowed, found.near, found.without) == (True, (), None)
    assert (deciding.id, deciding.basis, deciding.owner, deciding.ticket, deciding.review_by, deciding.kind) == (
        "P02-eea-in-eea",
        "contract 4.2",
        "legal@example.com",
        "LEGAL-1",
        "2026-12-01",
        "profile",
    )
    assert deciding.words.startswith(
        "Permits terminate, relay, process, failover, store_checkpoint, for the profile eea"
    )
    assert (deciding.file, deciding.line) == ("rules/all.cedar", 5)


def test_a_deny_by_default_names_the_permit_that_came_nearest_and_what_does_not_hold() -> None:
    (near,) = explained("eea", "us-east-1").near
    assert (near.rule.id, near.missing) == ("P02-eea-in-eea", ("it is for regions in EEA",))


def test_what_of_a_condition_does_not_hold_is_told_part_by_part() -> None:
    text = (
        'permit (principal in Asr::Profile::"eea", action == Asr::Action::"process", resource) when { '
        'context.dataClass == Asr::DataClass::"public" && context.subjectKnown '
        '&& resource.certifications.contains(Asr::Certification::"pci-dss") } unless { context.hasConsent };'
    )
    eea = next(each for each in RULES.split("\n\n") if "P02" in each)
    bundle = read_bundle(residency_files(rules=RULES.replace(eea, rule("P02-eea", text))))
    (near,) = explained("eea", "us-west-1", bundle=bundle).near
    assert near.missing == (
        "it holds when the data class is public",
        "it holds when the region has the certification pci-dss",
    )


def test_a_forbid_says_what_would_be_without_it() -> None:
    found = explained("us-health", "us-east-1", data_class=DataClass.phi, capacity=CapacityClass.spot)
    assert [told.id for told in found.deciding] == ["F02-no-spot-for-phi"]
    assert found.without is not None
    assert found.without.rules == ("P04-health-in-us",)
    nowhere = explained("eu-strict", "kp-1")
    assert (nowhere.without is not None and nowhere.without.is_allowed, len(nowhere.near)) == (False, 1)


def test_what_cannot_be_decided_says_so() -> None:
    found = explained("eea", "atlantis")
    assert (found.decision.verdict, found.deciding, found.near) == (Verdict.deny, (), ())
    assert "unknown region 'atlantis'" in found.decision.errors


def test_a_rule_is_told_in_words_and_as_it_stands() -> None:
    told = rule_told(read_bundle(residency_files()).rules["F01-embargo"])
    assert told.words == "Forbids everything, for everybody, in EMBARGO."
    assert "forbid (principal, action, resource" in told.text
