"""What is drafted from a catalog is valid, describes the catalog, and is approved by nobody."""

from __future__ import annotations

import pytest

from gateway.cli.policy.drafts import drafted_files
from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.checks.lint import lint
from policies.residency.checks.lint_finding import Severity
from policies.residency.checks.scenario_file import read_scenarios
from policies.residency.checks.scenarios import run_scenarios
from regions.catalog import Catalog, Location, RegionSpec
from tests.harness.starter_set import STARTER_NOW_S, starter_files

pytestmark = pytest.mark.unit


def region(name: str, country: str, operator: str) -> RegionSpec:
    return RegionSpec(name, Location(0.0, 0.0), country, frozenset(), operator, (), ())


CATALOG = Catalog(
    {
        each.name: each
        for each in (
            region("dublin", "IE", "AWS"),
            region("oslo", "NO", 'Fjord "Cloud" \\ AS'),
            region("ohio", "US", "AWS"),
        )
    }
)


def drafted() -> Bundle:
    return read_bundle(drafted_files(starter_files(), CATALOG, begin_s=STARTER_NOW_S))


def test_regions_and_operators_are_those_of_the_catalog() -> None:
    bundle = drafted()
    assert {(row.region, row.country, row.operator) for row in bundle.regions} == {
        ("dublin", "IE", "AWS"),
        ("oslo", "NO", 'Fjord "Cloud" \\ AS'),
        ("ohio", "US", "AWS"),
    }
    assert {(row.operator, row.provider) for row in bundle.operators} == {
        ("AWS", "aws"),
        ('Fjord "Cloud" \\ AS', "independent"),
    }
    assert bundle.projects == {}


def test_scenarios_are_drafted_for_every_profile_and_region_and_hold() -> None:
    bundle = drafted()
    outcomes = list(run_scenarios(bundle, read_scenarios(bundle)))
    assert len(outcomes) == len(bundle.profiles) * len(CATALOG.regions)
    assert all(outcome.is_as_expected for outcome in outcomes)


def test_nothing_drafted_counts_as_approved() -> None:
    errors = [finding for finding in lint(drafted(), now_s=STARTER_NOW_S) if finding.severity is Severity.error]
    assert {(finding.check, finding.place.partition(",")[0]) for finding in errors} == {
        ("row-not-approved", "operators.toml"),
        ("row-not-approved", "regions.toml"),
        ("row-not-filled-in", "operators.toml"),
    }
