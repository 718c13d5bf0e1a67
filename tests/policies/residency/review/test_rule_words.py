"""Rules are told in plain English, and what has no words there as Cedar."""

from __future__ import annotations

from pathlib import Path

import pytest

import policies.residency
from policies.residency.bundles.bundle import read_bundle
from policies.residency.bundles.rule_reading import read_rule
from policies.residency.review.rule_words import cedar_text, conjuncts, in_words
from tests.harness.residency_bundle import residency_files, rule

pytestmark = pytest.mark.unit

STARTER = Path(policies.residency.__file__).parent / "starter"
EVERYBODY = "Forbids everything, for everybody, in every region"


def words(condition: str) -> str:
    bundle = read_bundle(residency_files(more_rules=rule("X", f"forbid (principal, action, resource) {condition};")))
    return in_words(read_rule(bundle.rules["X"]))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "."),
        ('when { context.dataClass == Asr::DataClass::"phi" }', ", when the data class is phi."),
        ('when { !(context.dataClass == Asr::DataClass::"phi") }', ", when the data class is not phi."),
        ('when { context.dataClass != Asr::DataClass::"phi" }', ", when the data class is not phi."),
        ("when { !context.hasConsent }", ", when the speaker did not consent."),
        ("when { context.hasConsent == false }", ", when the speaker did not consent."),
        (
            'unless { resource in Asr::Jurisdiction::"EU" || resource in Asr::Jurisdiction::"US" }',
            "; unless the region is in EU or the region is in US.",
        ),
        (
            'when { !(resource in Asr::Jurisdiction::"EU" || resource in Asr::Jurisdiction::"US") }',
            ", when the region is not in EU and the region is not in US.",
        ),
        ('when { context.subject.contains(Asr::Jurisdiction::"EU") }', ", when the speaker is in EU."),
        (
            'when { context.now >= datetime("2026-10-01T00:00:00Z") }',
            ", when the date is on or after 2026-10-01.",
        ),
        (
            "when { principal has onlyRegions && !principal.onlyRegions.contains(resource) }",
            ", when the project has a list of regions and the region is not on the project's list.",
        ),
        (
            'unless { resource.certifications.contains(Asr::Certification::"pci-dss") }',
            "; unless the region has the certification pci-dss.",
        ),
        (
            'when { [Asr::DataClass::"phi", Asr::DataClass::"minors"].contains(context.dataClass) }',
            ", when the data class is phi or minors.",
        ),
        ('when { resource.country like "D*" }', ', when `(resource.country) like "D*"`.'),
        ('when { !(resource.country like "D*") }', ', when not `(resource.country) like "D*"`.'),
    ],
)
def test_a_condition_is_said_in_words(condition: str, said: str) -> None:
    assert words(condition) == EVERYBODY + said


def test_every_rule_of_the_starter_set_is_said_without_cedar() -> None:
    files = {path.relative_to(STARTER).as_posix(): path.read_bytes() for path in STARTER.rglob("*") if path.is_file()}
    for each in read_bundle(files).rules.values():
        said = in_words(read_rule(each))
        assert not {"`", "{", "::"} & set(said.replace("::", "{")), said


def test_a_condition_falls_into_the_parts_that_must_all_hold() -> None:
    text = (
        "forbid (principal, action, resource) when { context.isDraining && context.hasConsent && "
        "(context.subjectKnown || context.hasBreakGlass) };"
    )
    read = read_rule(read_bundle(residency_files(more_rules=rule("X", text))).rules["X"])
    ((_, body),) = read.conditions
    assert [cedar_text(part) for part in conjuncts(body)] == [
        "context.isDraining",
        "context.hasConsent",
        "(context.subjectKnown) || (context.hasBreakGlass)",
    ]
