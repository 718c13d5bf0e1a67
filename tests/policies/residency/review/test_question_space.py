"""The world of questions has everybody in it once, and every fact that a rule reads."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.review.question_space import DIMENSIONS, UNKNOWN, World, oddity
from policies.residency.vocabulary import Action
from tests.harness.residency_bundle import NOON_S, PROJECTS, project_row, residency_files, rule

pytestmark = pytest.mark.unit


def world(**changes: str) -> World:
    return World([read_bundle(residency_files(**changes))])


def test_projects_that_narrow_nothing_are_callers_of_their_profile() -> None:
    names = {who.name: who.projects for who in world().whos}
    assert names["eu-strict"] == ("acme/calls",)
    assert names["acme/one-region (eea)"] == ("acme/one-region",)


def test_projects_whose_rows_say_the_same_are_one() -> None:
    twin = project_row("other/no-aws", "eea", 'no_providers = ["aws"]')
    assert "acme/no-aws and 1 more (eea)" in {who.name for who in world(projects=PROJECTS + twin).whos}


def test_a_project_that_a_rule_names_is_for_itself() -> None:
    named = rule("X", 'permit (principal == Asr::Project::"acme/calls", action, resource);')
    assert "acme/calls (eu-strict)" in {who.name for who in world(more_rules=named).whos}


def test_only_facts_that_rules_on_an_action_read_make_a_difference() -> None:
    assert world().dimensions(Action.process) == ("data class", "speaker", "machine", "consent", "draining")
    assert world().dimensions(Action.terminate) == ("data class", "speaker", "consent")


def test_speakers_are_told_apart_by_the_areas_that_rules_name() -> None:
    engine = ResidencyEngine(read_bundle(residency_files()), NOON_S)
    labels = [subject.label for subject in world().subjects([engine])]
    assert labels == ["EU (such as DE)", "elsewhere (such as CH)", UNKNOWN]


def test_speakers_of_two_countries_count_where_a_rule_names_two_areas() -> None:
    text = (
        "forbid (principal, action, resource) when { "
        'context.subject.contains(Asr::Jurisdiction::"EU") && context.subject.contains(Asr::Jurisdiction::"US") };'
    )
    bundle = read_bundle(residency_files(more_rules=rule("X", text)))
    labels = [subject.label for subject in World([bundle]).subjects([ResidencyEngine(bundle, NOON_S)])]
    assert "EU, US (such as DE and US)" in labels


def test_a_project_that_comes_is_asked_before_as_a_caller_of_its_profile() -> None:
    bundles = [read_bundle(residency_files(projects=text)) for text in ("", PROJECTS)]
    (who,) = [who for who in World(bundles).whos if who.projects == ("acme/no-aws",)]
    assert who.asked_as == (("eea", ""), ("eea", "acme/no-aws"))


def test_what_is_usual_is_not_odd() -> None:
    usual = {name: frozenset({"no", "personal", "reserved", "unstated", "initial"}) for name in DIMENSIONS}
    assert oddity(usual) == 0
    assert oddity({**usual, "draining": frozenset({"yes"})}) == 1
