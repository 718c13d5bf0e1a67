"""What ends soon is told 90, 30 and 7 days ahead, and what nobody approved at once."""

from __future__ import annotations

import re

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import seconds_of
from policies.residency.checks.lint_finding import Severity
from policies.residency.checks.lint_rows import NOBODY_YET, TO_BE_FILLED_IN, lint_rows
from tests.harness.residency_bundle import (
    JURISDICTIONS,
    NOON_S,
    OPERATORS,
    REGIONS,
    jurisdiction_row,
    operator_row,
    region_row,
    residency_files,
)

pytestmark = pytest.mark.unit


def at(day: str) -> int:
    return seconds_of(day, may_be_a_date=True)


def found(now_s: int = NOON_S, **changes: str) -> list[tuple[Severity, str, str]]:
    bundle = read_bundle(residency_files(**changes))
    return [(finding.severity, finding.check, finding.place) for finding in lint_rows(bundle, now_s=now_s)]


def dates(begin: str, end: str) -> str:
    return f"effective_from = {begin}T00:00:00Z\nexpires_at = {end}T00:00:00Z\n"


def test_rows_with_time_left_are_not_found_fault_with() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("end", "days"), [("2026-08-31", None), ("2026-08-29", 90), ("2026-06-30", 30), ("2026-06-07", 7)]
)
def test_a_row_that_ends_is_told_in_time(end: str, days: int | None) -> None:
    row = jurisdiction_row("US", "PR", "dpf", dates("2025-01-01", end))
    bundle = read_bundle(residency_files(jurisdictions=JURISDICTIONS + row))
    findings = list(lint_rows(bundle, now_s=NOON_S))
    if days is None:
        assert findings == []
        return
    (finding,) = findings
    assert (finding.check, finding.place) == ("row-expires", "jurisdictions.toml, US PR (dpf)")
    assert finding.sentence == (
        f"Ends at {end}T00:00:00Z, within {days} days: what it permitted is refused from then on."
    )


def test_rows_that_end_together_are_one_finding() -> None:
    rows = "".join(
        jurisdiction_row("US", f"A{letter}", dates=dates("2025-01-01", "2026-06-07")) for letter in "DEFGILMO"
    )
    assert found(jurisdictions=JURISDICTIONS + rows) == [
        (
            Severity.warning, "row-expires",
            "jurisdictions.toml, US AD, US AE, US AF, US AG, US AI, US AL and 2 more",
        )
    ]  # fmt: skip


def test_a_row_that_another_follows_does_not_end() -> None:
    rows = region_row("eu-north-1", "NO", "Amazon", dates=dates("2025-01-01", "2026-06-07")) + region_row(
        "eu-north-1", "NO", "Microsoft", dates=dates("2026-06-07", "2028-01-01")
    )
    assert found(regions=REGIONS + rows) == [(Severity.note, "row-not-yet", "regions.toml, eu-north-1")]


def test_a_notice_that_has_not_elapsed_is_told() -> None:
    notice = f"notice_given_at = 2026-05-20T00:00:00Z\nnotice_days = 30\n{dates('2025-01-01', '2028-01-01')}"
    assert found(operators=OPERATORS + operator_row("Newcomer", "azure", dates=notice)) == [
        (Severity.note, "row-not-yet", "operators.toml, Newcomer")
    ]


def test_a_row_whose_time_is_over_is_told() -> None:
    row = jurisdiction_row("US", "PR", dates=dates("2025-01-01", "2026-01-01"))
    assert found(jurisdictions=JURISDICTIONS + row) == [(Severity.note, "row-expired", "jurisdictions.toml, US PR")]


def test_a_row_that_nobody_approved_is_an_error() -> None:
    row = region_row("eu-north-1", "NO", "Amazon").replace('"Ada"', f'"{NOBODY_YET}"')
    assert found(regions=REGIONS + row) == [(Severity.error, "row-not-approved", "regions.toml, eu-north-1")]


@pytest.mark.parametrize("field", ["contact", "basis"])
def test_what_a_draft_left_open_is_an_error(field: str) -> None:
    row = re.sub(rf'{field} = ".*"', f'{field} = "{TO_BE_FILLED_IN}"', operator_row("Drafted", "aws"))
    assert found(operators=OPERATORS + row) == [(Severity.error, "row-not-filled-in", "operators.toml, Drafted")]


def test_an_approval_of_tomorrow_is_found() -> None:
    row = region_row("eu-north-1", "NO", "Amazon").replace("2025-12-01", "2026-06-02")
    assert found(regions=REGIONS + row) == [(Severity.warning, "row-approved-later", "regions.toml, eu-north-1")]


@pytest.mark.parametrize(
    ("day", "check", "severity"),
    [
        ("2026-12-26", "bundle-expires-soon", Severity.warning),
        ("2026-10-04", "bundle-expires-soon", Severity.warning),
        ("2027-01-01", "bundle-expired", Severity.error),
    ],
)
def test_a_bundle_that_ends_is_told(day: str, check: str, severity: Severity) -> None:
    assert found(at(day)) == [(severity, check, "bundle.toml")]
