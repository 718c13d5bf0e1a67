"""A schema has the program's words and fits its questions, or the bundle is refused."""

from __future__ import annotations

import pytest

from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.bundles.schema import check_fit, check_words, read_schema, words_of
from policies.residency.vocabulary import DataClass
from tests.harness.residency_bundle import SCHEMA

pytestmark = pytest.mark.unit

PROFILES = ("eu-strict", "eea", "global", "us-health")


def mistakes_of(text: str) -> list[str]:
    mistakes = Mistakes()
    schema = read_schema(text, mistakes)
    if schema is not None:
        words = words_of(schema, mistakes)
        check_words(words, PROFILES, mistakes)
        if not mistakes.count:
            check_fit(schema, words, mistakes)
    try:
        mistakes.refuse_if_any()
    except BundleRefused as refused:
        return refused.mistakes
    return []


def test_a_sound_schema_has_its_words_told_by_type() -> None:
    mistakes = Mistakes()
    schema = read_schema(SCHEMA, mistakes)
    assert schema is not None
    words = words_of(schema, mistakes)
    assert words["DataClass"] == tuple(DataClass)
    assert words["Profile"] == PROFILES
    assert words["Jurisdiction"] == ("EU", "EEA", "US", "EMBARGO")
    assert len(words["Action"]) == 9
    assert "Region" not in words
    assert mistakes_of(SCHEMA) == []


def test_only_the_namespace_counts_and_words_in_texts_do_not() -> None:
    mistakes = Mistakes()
    schema = read_schema(
        'namespace Other { entity Provider enum ["x"]; } '
        'namespace Asr { @doc("entity Profile enum [\\"y\\"]; }") entity Provider enum ["z"]; }',
        mistakes,
    )
    assert schema is not None
    assert words_of(schema, mistakes) == {"Action": (), "Provider": ("z",)}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"phi", ', "", "DataClass is not those of the program: it lacks phi"),
        ('"minors"', '"minors", "secret"', "DataClass is not those of the program: it has secret beside them"),
        ('"rebalance"', '"whim"', "Trigger is not those of the program: it lacks rebalance and has whim beside them"),
        ('"spot"', '"Spot"', "Capacity is not those of the program: it lacks spot and has Spot beside them"),
        ('"consent", ', "", "LegalBasis is not those of the program: it lacks consent"),
        (
            "    erase_transcript",
            "    forget",
            "Action is not those of the program: it lacks erase_transcript and has forget",
        ),
        (
            '"us-health"]',
            '"us-healthy"]',
            "Profile is not those of profiles.toml: it lacks us-health and has us-healthy",
        ),
        (
            'entity Provider enum ["aws", "azure", "sovereign"]',
            "entity Provider",
            "entity Provider is no enumerated type",
        ),
        ("isSovereign: Bool,", "", "does not fit the regions and projects"),
        ("legalHold: Bool,", "legalHold: Bool, moon: Long,", "does not fit the regions and projects"),
        ("onlyRegions?: Set<Region>", "onlyRegions?: Set<Project>", "does not fit the regions and projects"),
        (
            "hasConsent: Bool,",
            "hasConsent: Bool, tide: Long,",
            "does not fit the questions that are asked about terminate",
        ),
        ("now: datetime,", "now: String, wind: Long,", "does not fit the questions"),
        ("subjectKnown: Bool,", "", "does not fit the questions"),
        ("resource: [Region]", "resource: [Project]", "does not fit the questions"),
        (
            "support_access,\n    erase_transcript appliesTo",
            "support_access appliesTo { principal: [Project], resource: [Region], context: Facts };"
            "action erase_transcript in [relay] appliesTo",
            "actions are in no groups",
        ),
        ("namespace Asr {", "namespace Asr {{", "error parsing schema"),
        ("country: String,", f"country: {'Set<' * 2_000}Long{'>' * 2_000},", "brackets deep"),
        ("type Facts", "type A = { a: B, b: B };\ntype B = { c: Long };\n  type Facts", "a `type` names another one"),
        ("country: String,", "country: Unheard,", "schema.cedarschema: "),
    ],
)
def test_a_schema_that_does_not_fit_is_refused(old: str, new: str, said: str) -> None:
    assert old in SCHEMA
    found = mistakes_of(SCHEMA.replace(old, new))
    assert any(said in one for one in found), found
