"""The report of a comparison: a summary that counts, and rows that say what is written differently."""

from __future__ import annotations

import pytest

from gateway.cli.policy.diff_report import diff_document, summary
from gateway.cli.policy.document import Table, Verbatim
from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.review.diff import Comparison, compare
from tests.harness.policy_bundles import changed_rule
from tests.harness.residency_bundle import NOON_S, REGIONS, region_row, residency_files, rule

pytestmark = pytest.mark.unit


def compared(before: Bundle, after: Bundle) -> Comparison:
    *_, found = compare(before, after, from_s=NOON_S, until_s=NOON_S + 60)
    assert isinstance(found, Comparison)
    return found


def test_the_summary_counts_what_is_allowed_and_what_not_any_more() -> None:
    text = 'forbid (principal, action == Asr::Action::"replicate_meter", resource in Asr::Jurisdiction::"US");'
    before = read_bundle(residency_files())
    found = compared(before, read_bundle(residency_files(more_rules=rule("X", text))))
    assert f"0 newly allowed, {found.no_longer_allowed:,} no longer allowed." in summary(found)
    assert summary(compared(before, before)).startswith("No decision changes, of ")


def test_a_region_that_is_added_is_told_with_its_row() -> None:
    found = compared(
        read_bundle(residency_files()),
        read_bundle(residency_files(regions=REGIONS + region_row("eu-fr-1", "FR", "Amazon"))),
    )
    tables = [block for block in diff_document(found, has_reasons=True).blocks if isinstance(block, Table)]
    (row,) = [row for table in tables if table.columns[:2] == ("what", "name") for row in table.rows]
    assert row[:4] == ("region", "eu-fr-1", "added", "")
    assert "country FR; operator Amazon" in row[4]


def test_a_rule_that_changes_is_shown_line_by_line() -> None:
    files = residency_files()
    after = changed_rule(files, "F08", "2026-10-01", "2026-12-01")
    found = compared(read_bundle(files), read_bundle(after))
    (shown,) = [block.text for block in diff_document(found).blocks if isinstance(block, Verbatim)]
    (gone,) = [line for line in shown.splitlines() if line.startswith("-")]
    (come,) = [line for line in shown.splitlines() if line.startswith("+")]
    assert ("2026-10-01" in gone, "2026-12-01" in come) == (True, True)
