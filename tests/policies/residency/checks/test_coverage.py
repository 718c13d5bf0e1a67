"""What tables leave out is named."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.checks.coverage import Coverage, coverage
from policies.residency.checks.scenario_file import read_scenarios
from policies.residency.checks.scenarios import run_scenarios
from tests.harness.residency_bundle import residency_files

pytestmark = pytest.mark.unit


def coverage_of(scenarios: str) -> Coverage:
    table = f"at: 2026-06-01T12:00:00Z\nscenarios:\n{scenarios}"
    bundle = read_bundle(residency_files(more_files=[("scenarios/a.yaml", table.encode())]))
    return coverage(bundle, run_scenarios(bundle, read_scenarios(bundle)))


def test_a_rule_is_hit_by_a_check_that_it_decides() -> None:
    covered = coverage_of(
        "  - {name: a, project: acme/calls, subject: [DE], action: [process, relay], region: eu-west-1, expect: allow, "
        "rule: P01-eu-in-eu}\n"
    )
    assert covered.checks_by_rule["P01-eu-in-eu"] == 2
    assert "P01-eu-in-eu" not in covered.rules_not_hit
    assert "P02-eea-in-eea" in covered.rules_not_hit
    assert covered.regions_not_asked == (
        "eu-central-1", "eu-sovereign-1", "kp-1", "no-east-1", "us-east-1", "us-west-1",
    )  # fmt: skip
    assert covered.profiles_not_asked == ("eea", "global", "us-health")
    assert covered.projects_not_asked == ("acme/no-aws", "acme/one-region", "clinic/notes")


def test_a_check_that_fails_hits_nothing() -> None:
    covered = coverage_of(
        "  - {name: a, profile: eea, subject: [DE], action: process, region: eu-west-1, expect: deny, rule: none}\n"
    )
    assert "P02-eea-in-eea" in covered.rules_not_hit
