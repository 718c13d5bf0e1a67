"""Regions that nobody may use and projects that may use none are found by asking."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.checks import lint_reach
from policies.residency.checks.lint_finding import Finding, Severity
from tests.harness.residency_bundle import NOON_S, PROJECTS, project_row, region_row, residency_files

pytestmark = pytest.mark.unit


def found(now_s: int = NOON_S, **changes: str) -> list[Finding]:
    return list(lint_reach.lint_reach(read_bundle(residency_files(**changes)), now_s=now_s))


def test_only_the_embargoed_region_is_told_and_as_a_note() -> None:
    (finding,) = found()
    assert (finding.severity, finding.check, finding.place) == (
        Severity.note, "region-without-permit", "regions.toml, kp-1",
    )  # fmt: skip
    assert "(F01-embargo)" in finding.sentence


def test_a_region_that_no_rule_reaches_is_a_warning() -> None:
    rules = (
        residency_files()["rules/all.cedar"]
        .decode()
        .replace('permit (principal in Asr::Profile::"us-health"', 'permit (principal in Asr::Profile::"eea"')
    )
    rules = rules.replace('permit (principal in Asr::Profile::"global"', 'forbid (principal in Asr::Profile::"global"')
    rules = rules.replace('resource in Asr::Jurisdiction::"US");', 'resource in Asr::Jurisdiction::"EU");')
    places = {
        finding.place: finding.severity for finding in found(rules=rules) if finding.check == "region-without-permit"
    }
    assert places["regions.toml, us-east-1"] is Severity.warning


def test_a_project_to_which_no_region_is_left_is_an_error() -> None:
    row = project_row("acme/nowhere", "eu-strict", 'only_regions = ["us-east-1", "no-east-1"]')
    (_, finding) = found(projects=PROJECTS + row)
    assert (finding.severity, finding.check, finding.place) == (
        Severity.error, "project-without-region", "projects.toml, acme/nowhere",
    )  # fmt: skip


def test_a_profile_that_may_be_recognised_nowhere_is_a_note() -> None:
    american = [region_row("us-west-1", "US", "Microsoft"), region_row("no-east-1", "NO", "Microsoft")]
    findings = found(regions="".join(american), projects="")
    assert [(finding.severity, finding.check, finding.place) for finding in findings] == [
        (Severity.note, "profile-without-region", "profiles.toml, eu-strict")
    ]


def test_a_project_is_asked_as_its_row_says() -> None:
    """A data class that its profile may not process anywhere leaves it nothing."""
    row = project_row("acme/health", "eu-strict", 'data_class = "phi"\nno_providers = ["aws"]')
    assert [finding.place for finding in found(projects=PROJECTS + row)][1:] == ["projects.toml, acme/health"]


def test_of_an_expired_bundle_nothing_is_said() -> None:
    assert found(NOON_S + 400 * 86_400) == []


def test_a_bundle_that_is_too_large_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint_reach, "MAX_QUESTIONS", 3)
    assert [finding.check for finding in found()] == ["reach-not-finished"]
