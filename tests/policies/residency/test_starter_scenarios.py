"""The starter set decides what its tables say, and its tables notice whatever is taken from its rules."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import cedarpy
import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.checks.coverage import coverage
from policies.residency.checks.scenario_file import read_scenarios
from policies.residency.checks.scenarios import Outcome, run_scenarios
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.vocabulary import Action
from tests.harness.starter_set import starter_bundle, starter_files

if TYPE_CHECKING:
    from policies.residency.bundles.bundle import Bundle
    from policies.residency.checks.scenario_file import Check, Scenario

pytestmark = pytest.mark.unit

_ACTION = re.compile(r'Asr::Action::"(\w+)"(, )?')


@cache
def scenarios() -> tuple[Scenario, ...]:
    return read_scenarios(starter_bundle())


@cache
def outcomes() -> tuple[Outcome, ...]:
    return tuple(run_scenarios(starter_bundle(), scenarios()))


def with_rules(texts: dict[str, str]) -> Bundle:
    """The starter set with these texts in the place of its rules' own; an empty one leaves the rule out."""
    bundle = starter_bundle()
    kept = [name for name in bundle.rules if texts.get(name, "rule")]
    return replace(
        bundle,
        cedar_rules=cedarpy.PolicySet.from_str("\n".join(texts.get(name, bundle.rules[name].text) for name in kept)),
        rule_ids={f"policy{number}": name for number, name in enumerate(kept)},
    )


def failing_with(texts: dict[str, str], of: str, action: str = "") -> list[Outcome]:
    """Those checks, of the ones that the rule decides (on that action), that fail with these texts."""
    bundle = with_rules(texts)
    asked = [
        replace(scenario, checks=checks)
        for scenario in scenarios()
        if (checks := tuple(check for check in scenario.checks if _concerns(check, of, action)))
    ]
    return [outcome for outcome in run_scenarios(bundle, asked) if not outcome.is_as_expected]


def _concerns(check: Check, rule: str, action: str) -> bool:
    if check.rules is None or check.question is None or rule not in check.rules:
        return False
    return action in ("", check.question.action)


def test_every_scenario_comes_out_as_written() -> None:
    assert [(outcome.check.place, outcome.problem) for outcome in outcomes() if outcome.problem] == []


def test_the_33_worked_scenarios_and_more_than_20_others_are_there() -> None:
    worked = [scenario for scenario in scenarios() if scenario.file == "scenarios/worked.yaml"]
    assert [scenario.name.partition(":")[0] for scenario in worked] == [str(number) for number in range(1, 34)]
    assert len(scenarios()) - len(worked) >= 20


def test_no_rule_region_profile_or_project_is_left_out() -> None:
    covered = coverage(starter_bundle(), outcomes())
    assert covered.rules_not_hit == ()
    assert covered.regions_not_asked == ()
    assert covered.profiles_not_asked == ()
    assert covered.projects_not_asked == ()


@pytest.mark.parametrize("rule", sorted(starter_bundle().rules))
def test_a_rule_that_is_dropped_is_noticed(rule: str) -> None:
    assert failing_with({rule: ""}, rule)


@pytest.mark.parametrize("rule", sorted(starter_bundle().rules))
def test_an_action_that_is_dropped_from_a_rule_is_noticed(rule: str) -> None:
    text = starter_bundle().rules[rule].text
    listed = re.search(r"action in \[(.*?)\]", text)
    if listed is None:
        return  # one action or all of them: test_a_rule_that_is_dropped_is_noticed
    for action in _ACTION.finditer(listed[1]):
        rest = listed[1].replace(action[0], "").removesuffix(", ")
        assert failing_with({rule: text.replace(listed[1], rest)}, rule, action[1]), action[1]


WIDENED = [
    ("P01-eu-strict-in-eu", 'Jurisdiction::"EU"', 'Jurisdiction::"EEA"'),
    ("P02-eea-in-eea", 'Jurisdiction::"EEA"', 'Jurisdiction::"EU-ADEQUACY"'),
    ("P04-eu-adequacy-dpf", 'Jurisdiction::"EU-DPF"', 'Jurisdiction::"US"'),
    ("P12-india-home-failover-abroad", 'Action::"failover"', 'Action::"process"'),
    ("F07-special-category-stays-in-eu", 'resource in Asr::Jurisdiction::"EU"', 'resource in Asr::Jurisdiction::"EEA"'),
    ("F08-checkpoints-of-eu-speakers-stay-in-eea", 'Jurisdiction::"EEA"', 'Jurisdiction::"EU-ADEQUACY"'),
    ("F11-dpf-sunset", "2027-06-30", "2027-07-01"),
]


@pytest.mark.parametrize(("rule", "before", "after"), WIDENED, ids=[rule for rule, _, _ in WIDENED])
def test_a_fence_that_is_moved_is_noticed(rule: str, before: str, after: str) -> None:
    text = starter_bundle().rules[rule].text
    assert before in text
    bundle = with_rules({rule: text.replace(before, after)})
    assert any(outcome.problem for outcome in run_scenarios(bundle, scenarios()))


def test_no_emergency_permission_lifts_a_law() -> None:
    """What the law refuses, it refuses with the permission too, which opens nothing but support access."""
    engines: dict[int, ResidencyEngine] = {}
    bundle = replace(starter_bundle(), issued_at_s=0)
    for outcome in outcomes():
        question = outcome.check.question
        if question is None or outcome.decision.errors:
            continue
        at_s = outcome.check.at_s
        engine = engines.get(at_s) or ResidencyEngine(bundle, at_s)
        engines[at_s] = engine
        decision = engine.decide(replace(question, has_break_glass=True))
        laws = {name for name in outcome.decision.rules if bundle.rules[name].is_statutory}
        assert laws <= set(decision.rules)
        if question.action is not Action.support_access:
            assert decision == outcome.decision


def test_the_same_files_are_the_same_bundle() -> None:
    assert read_bundle(starter_files()).digest == starter_bundle().digest


@pytest.mark.parametrize("rule", sorted(starter_bundle().rules))
def test_every_rule_says_in_words_above_it_what_it_is_for(rule: str) -> None:
    assert "// " in starter_bundle().rules[rule].text.partition("@id")[0]
