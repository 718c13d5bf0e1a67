"""The engine and an oracle that shares nothing with it say the same, whatever the bundle and the question."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.residency.bundle import read_bundle
from policies.residency.decision import Question
from policies.residency.engine import ResidencyEngine
from tests.harness.plain_residency import PlainAnswer, PlainBundle
from tests.proof.bundles import HOUR, REGIONS, BundleMaker, starter_files
from tests.proof.callers import some_question, some_situation

pytestmark = pytest.mark.unit

SHORT, LONG = (4, 60), (400, 600)
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


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_the_engine_says_what_the_oracle_says_of_any_bundle(seed: int) -> None:
    assert list(differences(seed, questions=20)) == []
