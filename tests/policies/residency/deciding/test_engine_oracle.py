"""The engine and an oracle that shares nothing with it say the same, whatever the bundle and the question."""

from __future__ import annotations

import random
from collections.abc import Iterator

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Question
from tests.harness.plain_cedar import Asked, Entity, Instant, Uid, outcome, read_rules
from tests.harness.plain_residency import PlainAnswer, PlainBundle
from tests.proof.bundles import HOUR, REGIONS, BundleMaker, starter_files
from tests.proof.callers import some_question, some_situation

pytestmark = pytest.mark.unit

SHORT, LONG = (2, 40), (400, 600)
"""Bundles, and questions to each at each instant."""


def differences(seed: int, *, questions: int) -> Iterator[tuple[Question, float, object, PlainAnswer]]:
    """Wherever the two do not agree about one drawn bundle."""
    dice = random.Random(seed)
    maker = BundleMaker(starter_files(), dice)
    noon = maker.noon()
    regions = dice.sample(REGIONS, dice.randint(2, 12))
    files = maker.make(regions, noon)
    bundle, oracle = read_bundle(files), PlainBundle(files)
    projects = {name: row["profile"] for name, row in oracle.projects.items()}
    for at_s in {int((noon + after * HOUR / 2).timestamp()) for after in (0, 1, 2, 5, 6, 7)}:
        engine = ResidencyEngine(bundle, at_s)
        for _ in range(questions):
            question = some_question(dice, some_situation(dice, sorted(oracle.profiles), projects), regions)
            decision, answer = engine.decide(question), oracle.ask(question, at_s)
            is_same = (
                decision.is_allowed is answer.is_allowed
                and bool(decision.errors) is answer.has_errors
                and (answer.has_errors or decision.rules == answer.rules)
            )
            if not is_same:
                yield question, at_s, decision, answer


def test_the_engine_says_what_the_oracle_says(is_long: bool) -> None:
    bundles, questions = LONG if is_long else SHORT
    found = [difference for seed in range(bundles) for difference in differences(seed, questions=questions)]
    assert found == []


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_the_engine_says_what_the_oracle_says_of_any_bundle(seed: int) -> None:
    assert list(differences(seed, questions=20)) == []


CONDITIONS = (
    'context.now < datetime("2027-01-01T00:00:00Z")',
    'context.now >= datetime("2026-06-01T14:00:00+0200")',
    'context.now != datetime("2026-06-01")',
    "context.number == 3 && !(context.number > 3)",
    "context.number <= 3 || context.missing",
    "context.missing || true",
    "context.missing && false",
    "false && context.missing",
    'context.word like "ab*d"',
    'context.word like "*b"',
    'context.word == 3 || context.number == "3"',
    "context has missing",
    "resource has country && resource.country == principal.country",
    'principal has country && principal.country == "DE"',
    "resource.missing == 3",
    'resource in Asr::Jurisdiction::"EU" && !(principal in Asr::Jurisdiction::"EU")',
    'resource in [Asr::Jurisdiction::"EU", Asr::Jurisdiction::"US"]',
    "resource is Asr::Region",
    'resource is Asr::Region in Asr::Jurisdiction::"EU"',
    "context.words.contains(context.word) && context.words.containsAny([context.word])",
    'context.words.containsAll(["abcd", "x"]) || [].isEmpty()',
    'if context.number == 3 then context.words.contains("x") else context.missing',
    "context.word && true",
    "9223372036854775807 + context.number > 0",
    "context.word < 3",
)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", ["when", "unless"])
def test_an_operator_means_to_the_oracle_what_it_means_to_cedar(condition: str, kind: str) -> None:
    text = f'@id("R") permit (principal, action, resource) {kind} {{ {condition} }};'
    principal, region, area = (Uid(f"Asr::{kind}", "x") for kind in ("Project", "Region", "Jurisdiction"))
    area = Uid(area.type, "EU")
    facts: dict[str, object] = {
        "number": 3,
        "word": "abcd",
        "words": frozenset({"abcd"}),
        "now": Instant(1_780_315_200_000),
    }
    entities = {region: Entity({"country": "DE"}, frozenset({area})), principal: Entity({})}
    asked = Asked(principal, Uid("Asr::Action", "process"), region, facts, entities)
    told = cedarpy.is_authorized(
        {
            "principal": principal._asdict(),
            "action": asked.action._asdict(),
            "resource": region._asdict(),
            "context": {
                "number": 3,
                "word": "abcd",
                "words": ["abcd"],
                "now": {"__extn": {"fn": "datetime", "arg": "2026-06-01T12:00:00Z"}},
            },
        },
        text,
        [
            {"uid": region._asdict(), "attrs": {"country": "DE"}, "parents": [area._asdict()]},
            {"uid": principal._asdict(), "attrs": {}, "parents": []},
        ],
    )
    is_allowed, _, has_errors = outcome(read_rules(text), asked)
    assert (is_allowed, has_errors) == (told.decision is cedarpy.Decision.Allow, bool(told.diagnostics.errors))
