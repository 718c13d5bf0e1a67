"""What rules say one by one comes to what Cedar says of them all."""

from __future__ import annotations

import random

import pytest

from policies.residency.bundle import read_bundle
from policies.residency.question_answers import WorldAt, only_rule
from policies.residency.question_space import World
from policies.residency.vocabulary import Action
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
    assert told(at, 20_000 if is_long else 150, seed=7) > 150


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
