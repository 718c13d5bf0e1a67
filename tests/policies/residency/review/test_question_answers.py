"""What rules say one by one comes to what Cedar says of them all."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.decision import Question, Situation
from policies.residency.review.question_answers import WorldAt, only_rule
from policies.residency.review.question_space import OF_ENGINES, World
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass
from tests.harness.policy_bundles import starter_files
from tests.harness.residency_bundle import NOON_S, residency_files, rule

pytestmark = pytest.mark.unit

AT_S = 1_795_800_000
"""2026-11-27, inside the dates of the starter set."""


def told(at: WorldAt, cells: int, seed: int) -> int:
    """Hold answers of some cells against Cedar's; how many were."""
    dice = random.Random(seed)
    held = 0
    for _ in range(cells):
        cell = at.cell(dice.choice(at.world.whos), dice.choice([*Action]), dice.choice(at.world.regions))
        situations = [*at.situations(cell)]
        for values in dice.sample(situations, min(6, len(situations))):
            one, full = at.answer(cell, values, 0), at.asked_in_full(cell, values, 0)
            assert (one.is_allowed, one.rules, bool(one.errors)) == (full.is_allowed, full.rules, bool(full.errors))
            held += 1
    return held


def test_answers_to_the_starter_set_are_those_of_all_its_rules_together(is_long: bool) -> None:
    at = WorldAt(World([read_bundle(starter_files())]), AT_S)
    assert told(at, 1_000 if is_long else 40, seed=7) > 40


def any_question(at: WorldAt, dice: random.Random, countries: list[str]) -> Question:
    """Whatever somebody may ask, of all values that there are."""
    profile, project = dice.choice(dice.choice(at.world.whos).asked_as)
    situation = Situation(
        profile=profile,
        project=project,
        data_class=dice.choice([*DataClass]),
        subject_countries=frozenset(dice.sample(countries, dice.choice([0, 1, 1, 1, 2]))),
        has_consent=dice.random() < 0.5,
        legal_basis=dice.choice([*LegalBasis]),
    )
    return Question(
        situation=situation,
        action=dice.choice([*Action]),
        region=dice.choice(at.world.regions),
        capacity=dice.choice([*CapacityClass]),
        trigger=dice.choice([*Trigger]),
        is_draining=dice.random() < 0.3,
        has_break_glass=dice.random() < 0.3,
    )


def test_whatever_is_asked_the_class_that_it_is_in_has_its_answer(is_long: bool) -> None:
    """So nothing that no rule is said to read makes a difference."""
    bundle = read_bundle(starter_files() if is_long else residency_files())
    at = WorldAt(World([bundle]), AT_S if is_long else NOON_S)
    whos = {who.asked_as[0]: who for who in at.world.whos}
    countries = sorted({row.code for row in bundle.jurisdictions} | {"BR", "ZA", "MX"})
    dice = random.Random(11)
    for _ in range(5_000 if is_long else 800):
        asked = any_question(at, dice, countries)
        if asked.action not in OF_ENGINES:
            asked = replace(asked, capacity=CapacityClass.reserved)
        situation = asked.situation
        chosen = {
            "data class": situation.data_class.value,
            "speaker": at.subject_of(situation.subject_countries),
            "machine": asked.capacity.value,
            "consent": "yes" if situation.has_consent else "no",
            "legal basis": situation.legal_basis.value,
            "trigger": asked.trigger.value,
            "draining": "yes" if asked.is_draining else "no",
            "break glass": "yes" if asked.has_break_glass else "no",
        }
        cell = at.cell(whos[situation.profile, situation.project], asked.action, asked.region)
        values = {
            name: next((of for of in cell.classes.get(name, ()) if value in of), frozenset({value}))
            for name, value in chosen.items()
        }
        found, full = at.answer(cell, values, 0), at.engines[0].decide(asked)
        assert (found.is_allowed, found.rules, bool(found.errors)) == (full.is_allowed, full.rules, bool(full.errors))


def test_a_rule_that_fails_is_no_allow() -> None:
    """Cedar skips it; here as there the answer is a deny, with an error."""
    failing = rule(
        "X", "forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 && context.hasConsent };"
    )
    at = WorldAt(World([read_bundle(residency_files(more_rules=failing))]), NOON_S)
    (who,) = [who for who in at.world.whos if who.name == "eea"]
    cell = at.cell(who, Action.process, "eu-west-1")
    for values in [*at.situations(cell)][:20]:
        assert at.answer(cell, values, 0).errors
        assert not at.answer(cell, values, 0).is_allowed
        assert at.asked_in_full(cell, values, 0).errors


def test_the_same_rule_is_asked_once_for_all_of_which_it_reads_the_same() -> None:
    at = WorldAt(World([read_bundle(starter_files())]), AT_S)
    for who in at.world.whos:
        at.cell(who, Action.process, "eu-central-1")
    asked = at.asked
    for who in at.world.whos:
        at.cell(who, Action.process, "eu-central-1")
    assert at.asked == asked < 300


def test_two_bundles_alike_answer_alike() -> None:
    bundle = read_bundle(residency_files())
    at = WorldAt(World([bundle, bundle]), NOON_S)
    assert all(at.is_equal(who, Action.process, region) for who in at.world.whos for region in at.world.regions)


def test_answers_stay_where_neither_rows_nor_dates_change() -> None:
    bundle = read_bundle(residency_files())
    world = World([bundle])
    early, later, past = (WorldAt(world, at_s) for at_s in (NOON_S, NOON_S + 60, 1_791_000_000))
    assert later.unchanged_since(early) == frozenset(world.regions)
    assert past.unchanged_since(early) == frozenset()


def test_a_rule_alone_is_a_bundle_of_it() -> None:
    bundle = only_rule(read_bundle(residency_files()), "P02-eea-in-eea")
    assert [*bundle.rules] == ["P02-eea-in-eea"]
    assert len(bundle.cedar_rules) == 1
