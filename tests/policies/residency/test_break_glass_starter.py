"""No emergency overrides the law: what a statutory rule of the starter set forbids stays forbidden with break glass."""

from __future__ import annotations

import itertools
import random
import re
from typing import TYPE_CHECKING

import pytest

from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.deciding.table import DecisionTable
from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, DataClass
from policies.routing_facts import CapacityClass
from tests.harness.starter_set import STARTER_NOW_S, starter_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unit

_SHORT = 800


def _questions(dice: random.Random) -> Iterator[Question]:
    """Without end."""
    bundle = starter_bundle()
    callers = [(name, "") for name in bundle.profiles] + [
        (row.profile, row.project) for row in bundle.projects.values()
    ]
    countries = [frozenset[str](), *(frozenset({code}) for code in ("DE", "US", "GB", "CH", "IN", "BR"))]
    regions = sorted(row.region for row in bundle.regions)
    while True:
        profile, project = dice.choice(callers)
        data_class, subject, has_consent = dice.choice(list(DataClass)), dice.choice(countries), dice.random() < 0.5
        situation = Situation(profile, project, data_class, subject, has_consent)
        action, region = dice.choice(list(Action)), dice.choice(regions)
        yield Question(situation, action, region, dice.choice(list(CapacityClass)))


def _broken(question: Question) -> Question:
    return Question(question.situation, question.action, question.region, question.capacity, has_break_glass=True)


def test_no_statutory_rule_looks_at_break_glass() -> None:
    statutory = [rule for rule in starter_bundle().rules.values() if rule.is_statutory and rule.effect == "forbid"]
    assert statutory
    code = {rule.id: re.sub(r"//[^\n]*", "", rule.text) for rule in statutory}
    assert [name for name, text in code.items() if "hasBreakGlass" in text] == []


def test_what_a_statutory_rule_forbids_stays_forbidden_in_an_emergency(is_long: bool) -> None:
    bundle = starter_bundle()
    table = DecisionTable(ResidencyEngine(bundle, STARTER_NOW_S))
    statutory = {rule.id for rule in bundle.rules.values() if rule.is_statutory and rule.effect == "forbid"}
    questions = itertools.islice(_questions(random.Random(7)), 60_000 if is_long else _SHORT)
    seen, opened = set(), 0
    for question in questions:
        usual, broken = table.decide(question), table.decide(_broken(question))
        forbidding = statutory & set(usual.rules)
        if forbidding:
            seen |= forbidding
            assert not broken.is_allowed, (question, forbidding)
        opened += broken.is_allowed and not usual.is_allowed
    assert len(seen) >= (len(statutory) // 2 if is_long else 4), f"not met: {sorted(statutory - seen)}"
    assert opened > 0, "an emergency opens something, or this test says nothing"
