"""A table's checks come out as its author wrote, or say how they differ."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.checks.scenario_file import read_scenarios
from policies.residency.checks.scenarios import Outcome, run_scenarios
from tests.harness.residency_bundle import residency_files

pytestmark = pytest.mark.unit


def outcome_of(fields: str, at: str = "2026-06-01T12:00:00Z") -> Outcome:
    table = f"at: {at}\nscenarios:\n  - {{name: a, profile: eea, subject: [DE], action: process, {fields}}}\n"
    bundle = read_bundle(residency_files(more_files=[("scenarios/a.yaml", table.encode())]))
    (outcome,) = run_scenarios(bundle, read_scenarios(bundle))
    return outcome


@pytest.mark.parametrize(
    "fields",
    [
        "region: no-east-1, expect: allow, rule: P02-eea-in-eea",
        "region: us-east-1, expect: deny, rule: none",
        "region: mars-1, expect: deny, error: MARS-1",
        "region: no-east-1, data_class: phi, expect: deny, rule: F03-phi-needs-baa",
    ],
)
def test_what_is_expected_is_no_problem(fields: str) -> None:
    outcome = outcome_of(fields)
    assert outcome.problem == ""
    assert outcome.is_as_expected


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("region: no-east-1, expect: deny, rule: none", "expected deny, got allow by P02-eea-in-eea"),
        ("region: us-east-1, expect: allow, rule: P02-eea-in-eea", "expected allow, got deny by no rule"),
        ("region: mars-1, expect: allow, rule: P03-global", "expected allow, got deny: unknown region 'mars-1'"),
        (
            "region: mars-1, expect: deny, rule: none",
            "denied, but because something is wrong: unknown region 'mars-1'",
        ),
        (
            "region: us-east-1, expect: deny, error: expired",
            "expected the error 'expired', got: nothing went wrong",
        ),
        (
            "region: no-east-1, expect: allow, rule: P03-global",
            "allow, as expected, but by P02-eea-in-eea instead of P03-global",
        ),
        (
            "region: no-east-1, data_class: phi, capacity: spot, expect: deny, rule: F02-no-spot-for-phi",
            "deny, as expected, but by F02-no-spot-for-phi, F03-phi-needs-baa instead of F02-no-spot-for-phi",
        ),
    ],
)
def test_what_is_not_expected_is_said(fields: str, problem: str) -> None:
    assert outcome_of(fields).problem == problem


def test_tables_may_ask_of_times_before_the_bundle_was_issued() -> None:
    """Or each new version would have to have all its tables dated anew."""
    assert outcome_of("region: no-east-1, expect: allow, rule: P02-eea-in-eea", at="2025-06-01").is_as_expected


def test_expiry_holds_in_tables_too() -> None:
    assert outcome_of("region: no-east-1, at: last-second, expect: allow, rule: P02-eea-in-eea").is_as_expected
    assert outcome_of("region: no-east-1, at: expired, expect: deny, error: expired").is_as_expected
