"""The rows that an answer rests on are told, with their dates, and those that do not count with the reason."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Question, Situation
from policies.residency.review.explain_facts import Fact, facts_of
from policies.residency.vocabulary import Action
from tests.harness.residency_bundle import (
    JURISDICTIONS,
    NOON_S,
    OPERATORS,
    REGIONS,
    jurisdiction_row,
    operator_row,
    region_row,
    residency_files,
)

pytestmark = pytest.mark.unit

LATER = "effective_from = 2026-12-01T00:00:00Z\nexpires_at = 2028-01-01T00:00:00Z\n"


def facts(region: str, project: str = "", countries: frozenset[str] = frozenset({"DE"}), **changes: str) -> list[Fact]:
    bundle = read_bundle(residency_files(**changes))
    row = bundle.projects.get(project)
    situation = Situation("eea" if row is None else row.profile, project, subject_countries=countries)
    question = Question(situation, Action.store_checkpoint, region)
    return [*facts_of(bundle, ResidencyEngine(bundle, NOON_S), question)]


def test_caller_region_operator_and_areas_are_told() -> None:
    assert [(fact.about, fact.said, fact.dates) for fact in facts("no-east-1", "acme/no-aws")] == [
        ("caller", "profile eea", ""),
        ("caller", "project acme/no-aws; not on aws", ""),
        ("region", "no-east-1 is in NO, run by Microsoft", "2025-01-01 to 2028-01-01"),
        ("operator", "operator Microsoft on azure, certified for nothing", "2025-01-01 to 2028-01-01"),
        ("region", "NO is in EEA", "2025-01-01 to 2028-01-01"),
        ("speaker", "DE is in EU", "2025-01-01 to 2028-01-01"),
    ]


def test_a_row_that_is_not_in_force_says_until_when() -> None:
    told = facts("eu-fr-1", regions=REGIONS + region_row("eu-fr-1", "FR", "Late"),
                 operators=OPERATORS + operator_row("Late", "aws", dates=LATER))  # fmt: skip
    (operator,) = [fact for fact in told if fact.about == "operator"]
    assert operator.dates == "NOT IN FORCE until 2026-12-01"


def test_an_area_that_asks_for_a_certification_that_the_operator_lacks_does_not_count() -> None:
    rows = JURISDICTIONS + jurisdiction_row("EEA", "US", "dpf")
    dates = {
        region: [fact.dates for fact in facts(region, jurisdictions=rows) if "EEA" in fact.said and "US" in fact.said]
        for region in ("us-east-1", "us-west-1")
    }
    assert dates["us-west-1"] == ["does not count: the operator lacks dpf"]
    assert dates["us-east-1"] == ["2025-01-01 to 2028-01-01"]


def test_what_nobody_knows_is_told() -> None:
    said = [fact.said for fact in facts("atlantis", countries=frozenset())]
    assert "the bundle has no region atlantis" in said
    assert "nobody knows where the speaker is" in said
    assert "BR is in no area that a rule on store_checkpoint asks about" in [
        fact.said for fact in facts("no-east-1", countries=frozenset({"BR"}))
    ]
