"""What is written differently is told, by row and by rule."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import FAR_S
from policies.residency.review.diff_rows import Difference, date_of, differences
from tests.harness.residency_bundle import PROJECTS, REGIONS, RULES, project_row, region_row, residency_files, rule

pytestmark = pytest.mark.unit


def told(**changes: str) -> tuple[Difference, ...]:
    return differences(read_bundle(residency_files()), read_bundle(residency_files(**changes)))


def test_the_same_is_no_difference() -> None:
    assert told() == ()


def test_a_region_that_comes_and_one_that_changes_are_told() -> None:
    regions = REGIONS.replace('certifications = ["pci-dss"]', "certifications = []") + region_row(
        "fr-1", "FR", "Amazon"
    )
    changed, added = told(regions=regions)
    assert changed == Difference("region", "changed", "eu-west-1", (("certifications", "pci-dss", "none"),))
    assert (added.sort, added.change, added.name) == ("region", "added", "fr-1")
    assert ("country", "", "FR") in added.details


def test_a_project_that_goes_is_told() -> None:
    (difference,) = told(projects=PROJECTS.replace(project_row("acme/calls", "eu-strict"), ""))
    assert (difference.sort, difference.change, difference.name) == ("project", "removed", "acme/calls")


def test_rules_are_told_by_text_and_by_annotation() -> None:
    annotated = RULES.replace(
        '@review_by("2026-12-01") @ticket("LEGAL-1") @kind("profile")\npermit (principal in Asr::Profile::"eea"',
        '@review_by("2027-12-01") @ticket("LEGAL-1") @kind("profile")\npermit (principal in Asr::Profile::"eea"',
    )
    (difference,) = told(rules=annotated)
    assert difference == Difference("rule", "changed", "P02-eea-in-eea", (("@review_by", "2026-12-01", "2027-12-01"),))
    (added,) = told(more_rules=rule("X", "forbid (principal, action, resource);"))
    assert (added.change, added.name) == ("added", "X")


def test_a_comment_is_no_difference_and_a_version_is() -> None:
    assert told(rules="// more words\n" + RULES) == ()
    (difference,) = told(version="2")
    assert difference == Difference("bundle", "changed", "test", (("version", "1", "2"),))


def test_as_far_as_can_be_is_never() -> None:
    assert (date_of(FAR_S), date_of(None), date_of(0)) == ("never", "not said", "1970-01-01T00:00:00Z")
