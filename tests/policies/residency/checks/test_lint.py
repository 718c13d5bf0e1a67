"""Lint as a whole: the gravest first, and tables that fail or leave rules out."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.checks.lint import lint
from policies.residency.checks.lint_finding import Severity
from policies.residency.checks.scenario_file import read_scenarios
from policies.residency.checks.scenarios import run_scenarios
from tests.harness.residency_bundle import NOON_S, residency_files, rule
from tests.harness.starter_set import STARTER_NOW_S, starter_bundle

pytestmark = pytest.mark.unit

TABLE = b"""\
at: 2026-06-01T12:00:00Z
scenarios:
  - {name: a, profile: eea, subject: [DE], action: process, region: no-east-1, expect: allow, rule: P02-eea-in-eea}
  - {name: b, profile: eea, subject: [DE], action: process, region: no-east-1, expect: deny, rule: none}
"""


def test_the_gravest_come_first() -> None:
    files = residency_files(more_rules=rule("X01-new", "permit (principal, action, resource);"))
    findings = lint(read_bundle(files), now_s=NOON_S)
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.error


def test_failing_scenarios_and_rules_that_none_decides_are_told() -> None:
    bundle = read_bundle(residency_files(more_files=[("scenarios/a.yaml", TABLE)]))
    outcomes = list(run_scenarios(bundle, read_scenarios(bundle)))
    findings = lint(bundle, now_s=NOON_S, outcomes=outcomes)
    (failing,) = [finding for finding in findings if finding.check == "scenario-fails"]
    assert failing.severity is Severity.error
    assert failing.place == "scenarios/a.yaml line 4"
    assert failing.sentence == (
        "1 of 2 checks do not come out as expected; the first: expected deny, got allow by P02-eea-in-eea."
    )
    (untested,) = [finding for finding in findings if finding.check == "rules-not-tested"]
    assert "P01-eu-in-eu, P03-global" in untested.sentence
    assert "P02-eea-in-eea" not in untested.sentence


def test_without_outcomes_nothing_is_said_of_tables() -> None:
    checks = {finding.check for finding in lint(read_bundle(residency_files()), now_s=NOON_S)}
    assert not checks & {"scenario-fails", "rules-not-tested"}


def test_the_starter_set_has_nothing_but_notes() -> None:
    bundle = starter_bundle()
    outcomes = list(run_scenarios(bundle, read_scenarios(bundle)))
    findings = lint(bundle, now_s=STARTER_NOW_S, outcomes=outcomes)
    assert {finding.severity for finding in findings} == {Severity.note}
