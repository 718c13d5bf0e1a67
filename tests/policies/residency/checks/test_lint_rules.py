"""Lint finds what Cedar's validator lets pass in rules, and nothing in sound ones."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.instants import seconds_of
from policies.residency.checks.lint_finding import Finding, Severity
from policies.residency.checks.lint_rules import lint_rules
from tests.harness.residency_bundle import (
    JURISDICTIONS,
    NOON_S,
    PROFILES,
    SCHEMA,
    residency_files,
    rule,
)

pytestmark = pytest.mark.unit


def findings(now_s: int = NOON_S, **changes: str) -> list[Finding]:
    bundle = read_bundle(residency_files(**changes))
    # The sound bundle lets usage numbers go everywhere, which lint does not like.
    return [found for found in lint_rules(bundle, now_s=now_s) if "P05-meters" not in found.place]


def of_new_rule(text: str, annotations: str = "") -> list[tuple[Severity, str]]:
    found = findings(more_rules=rule("X01-new", text, annotations))
    assert all("X01-new" in finding.place for finding in found)
    return [(finding.severity, finding.check) for finding in found]


def test_sound_rules_are_not_found_fault_with() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("permit (principal, action, resource);", "unconditional-permit"),
        ('permit (principal, action == Asr::Action::"process", resource);', "permit-without-scope"),
    ],
)
def test_a_permit_for_everybody_everywhere_is_an_error(text: str, check: str) -> None:
    assert of_new_rule(text) == [(Severity.error, check)]


def test_a_forbid_that_reads_nothing_is_found() -> None:
    assert of_new_rule("forbid (principal, action, resource);") == [(Severity.warning, "rule-reads-nothing")]


def test_a_forbid_of_one_action_may_read_nothing() -> None:
    assert of_new_rule('forbid (principal, action == Asr::Action::"store_transcript", resource);') == []


def test_a_law_that_an_emergency_permission_would_lift_is_an_error() -> None:
    text = "forbid (principal, action, resource) when { resource.isSovereign } unless { context.hasBreakGlass };"
    assert of_new_rule(text, '@kind("statutory")') == [(Severity.error, "statutory-reads-break-glass")]
    assert of_new_rule(text, '@kind("operational")') == []


def test_a_permit_is_no_law() -> None:
    text = 'permit (principal in Asr::Profile::"eea", action, resource in Asr::Jurisdiction::"EU");'
    assert of_new_rule(text, '@kind("statutory")') == [(Severity.warning, "statutory-permit")]


def test_an_annotation_that_nothing_reads_is_found() -> None:
    text = "forbid (principal, action, resource) when { resource.isSovereign };"
    (found,) = findings(more_rules=rule("X01-new", text, '@reviewby("2030-01-01")'))
    assert (found.check, found.severity) == ("unknown-annotation", Severity.warning)
    assert "@reviewby" in found.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'forbid (principal, action, resource) when { resource.country == "Germany" };',
            "It compares resource.country with the text 'Germany'.",
        ),
        (
            'forbid (principal, action, resource) when { context.hasConsent && ["acme"].contains(principal.org) };',
            "It compares principal.org with the text 'acme'.",
        ),
    ],
)
def test_a_text_in_the_place_of_an_enumerated_word_is_found(text: str, sentence: str) -> None:
    (found,) = findings(more_rules=rule("X01-new", text))
    assert (found.check, found.sentence) == ("text-compared", sentence)


def test_an_operator_is_named_as_its_row_names_it() -> None:
    text = 'forbid (principal in Asr::Profile::"eea", action, resource) when {{ resource.operator == "{}" }};'
    assert findings(more_rules=rule("X01-new", text.format("Amazon"))) == []
    (found,) = findings(more_rules=rule("X01-new", text.format("Amazom")))
    assert (found.check, "exactly as it stands there" in found.advice) == ("text-compared", True)


def test_a_rule_that_says_the_same_as_another_is_an_error() -> None:
    text = 'permit (principal in Asr::Profile::"global", action in [Asr::Action::"relay"], resource);'
    found = findings(more_rules=rule("X01-one", text) + rule("X02-two", f"// the same\n{text}"))
    assert [(finding.check, finding.sentence) for finding in found] == [
        ("duplicate-rule", "It says the same as X01-one.")
    ]


@pytest.mark.parametrize(
    ("day", "check", "sentence"),
    [
        ("2026-10-31", None, ""),
        ("2026-11-02", "review-soon", "It is to be reviewed by 2026-12-01."),
        ("2026-12-02", "review-overdue", "It was to be reviewed by 2026-12-01."),
    ],
)
def test_reviews_that_are_due_are_told(day: str, check: str | None, sentence: str) -> None:
    found = findings(now_s=seconds_of(day, may_be_a_date=True))
    assert {(finding.check, finding.sentence) for finding in found} == ({(check, sentence)} if check else set())


def test_a_profile_that_nothing_permits_is_an_error() -> None:
    profile = (
        '\n[[profiles]]\nname = "moon"\ntitle = "t"\nowner = "o"\nis_restricted = true\nrequires_consent = false\n'
    )
    found = findings(profiles=PROFILES + profile, schema=SCHEMA.replace('"us-health"]', '"us-health", "moon"]'))
    assert [(finding.check, finding.place) for finding in found] == [("profile-without-permit", "profiles.toml, moon")]


def test_a_jurisdiction_without_rows_and_rows_that_no_rule_reads_are_found() -> None:
    rows = JURISDICTIONS.replace('regime = "EMBARGO"', 'regime = "MOON"')
    found = findings(jurisdictions=rows, schema=SCHEMA.replace('"EMBARGO"', '"EMBARGO", "MOON"'))
    assert [(finding.check, finding.sentence) for finding in found] == [
        ("jurisdiction-without-rows", "It speaks of EMBARGO, to which no country belongs today."),
        ("jurisdiction-not-read", "No rule speaks of MOON: its rows have no effect."),
    ]
