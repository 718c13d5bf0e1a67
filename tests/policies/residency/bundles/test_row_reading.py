"""Rows are read whole or told by their number and by what people know them by."""

from __future__ import annotations

import pytest

from policies.residency.bundles import row_reading
from policies.residency.bundles.instants import seconds_of
from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from policies.residency.bundles.rows import Profile, Project, Transcripts
from policies.residency.vocabulary import DataClass, LegalBasis
from tests.harness import residency_bundle as bundle

pytestmark = pytest.mark.unit


def told(mistakes: Mistakes) -> list[str]:
    try:
        mistakes.refuse_if_any()
    except BundleRefused as refused:
        return refused.mistakes
    return []


def test_sound_rows_are_read_whole() -> None:
    mistakes = Mistakes()
    jurisdictions = row_reading.read_jurisdictions(bundle.jurisdiction_row("US", "US", "dpf"), mistakes)
    operators = row_reading.read_operators(
        bundle.operator_row(
            "Amazon", "aws", '"dpf"', bundle.DATES + "notice_given_at = 2026-01-01T00:00:00Z\nnotice_days = 30\n"
        ),
        mistakes,
    )
    regions = row_reading.read_regions(bundle.region_row("us-east-1", "US", "Amazon", '"pci-dss"'), mistakes)
    assert told(mistakes) == []
    (jurisdiction,), (operator,), (region,) = jurisdictions, operators, regions
    assert (jurisdiction.regime, jurisdiction.code, jurisdiction.scope) == ("US", "US", "dpf")
    assert jurisdiction.expires_at_s == seconds_of("2028-01-01T00:00:00Z")
    assert jurisdiction.approved_by == "Ada"
    assert operator.starts_at_s == seconds_of("2026-01-31T00:00:00Z")
    assert operator.certifications == {"dpf"}
    assert (region.region, region.country, region.operator) == ("us-east-1", "US", "Amazon")
    assert region.where == "regions.toml: row 1 (us-east-1 Amazon)"


def test_profiles_and_projects_are_read_by_name() -> None:
    mistakes = Mistakes()
    profiles = row_reading.read_profiles(bundle.PROFILES, mistakes)
    more = (
        'only_regions = []\nno_providers = ["aws"]\ndata_class = "phi"\nsubject_country = "US"\n'
        'legal_basis = "consent"\nkey_region = "us-east-1"\nlegal_hold = true\n'
        'transcripts = { region = "us-east-1", days = 30 }\n'
    )
    projects = row_reading.read_projects(
        bundle.project_row("acme/calls", "eea") + bundle.project_row("clinic/notes", "us-health", more), mistakes
    )
    assert told(mistakes) == []
    assert profiles["eu-strict"] == Profile(
        "eu-strict", "In the European Union only", "legal@example.com", is_restricted=True, requires_consent=False
    )
    assert projects == {
        "acme/calls": Project("acme/calls", "eea"),
        "clinic/notes": Project(
            "clinic/notes",
            "us-health",
            frozenset(),
            frozenset({"aws"}),
            DataClass.phi,
            "US",
            LegalBasis.consent,
            "us-east-1",
            legal_hold=True,
            transcripts=Transcripts("us-east-1", 30),
        ),
    }


def test_every_mistake_of_a_row_is_told_and_no_other_row_suffers() -> None:
    mistakes = Mistakes()
    text = bundle.region_row("EU Central", "Germany", "Amazon") + bundle.region_row("eu-west-1", "IE", "Amazon")
    text += (
        '[[rows]]\nregion = "x"\neffective_from = 2027-01-01T00:00:00Z\nexpires_at = 2026-01-01T00:00:00Z\ncolour = 1\n'
    )
    assert [row.region for row in row_reading.read_regions(text, mistakes)] == ["eu-west-1", "x"]
    assert told(mistakes) == [
        "regions.toml: row 1 (EU Central Amazon): `region` is 'EU Central'; it is written like eu-central-1",
        "regions.toml: row 1 (EU Central Amazon): `country` is 'Germany'; it is written like DE or GB, by ISO 3166-1",
        "regions.toml: row 3 (x): `expires_at` is not after `effective_from`",
        "regions.toml: row 3 (x): `approved_by` is missing",
        "regions.toml: row 3 (x): `approved_at` is missing",
        "regions.toml: row 3 (x): `country` is missing",
        "regions.toml: row 3 (x): `operator` is missing",
        "regions.toml: row 3 (x): unknown key 'colour'",
    ]


def test_notice_is_given_with_its_days_or_not_at_all() -> None:
    mistakes = Mistakes()
    row = bundle.operator_row("Amazon", "aws", "", bundle.DATES + "notice_days = 30\n")
    row_reading.read_operators(row, mistakes)
    assert told(mistakes) == ["operators.toml: row 1 (Amazon): `notice_given_at` is missing"]


def test_the_same_name_twice_is_told() -> None:
    mistakes = Mistakes()
    row_reading.read_projects(bundle.project_row("acme/calls", "eea") * 2, mistakes)
    row_reading.read_profiles(bundle.PROFILES + bundle.PROFILES[: bundle.PROFILES.index("\n\n")], mistakes)
    assert told(mistakes) == [
        "projects.toml: project 2 (acme/calls): there is another row for this project",
        "profiles.toml: row 5 (eu-strict): there is another profile 'eu-strict'",
    ]


def test_projects_that_are_not_written_plainly_are_read_all_the_same() -> None:
    mistakes = Mistakes()
    plain = bundle.project_row("acme/calls", "eea", 'no_providers = ["aws"]')
    artful = 'projects = [{ project = \'acme/calls\', profile = """eea""", no_providers = [\'aws\'] }]'
    assert row_reading.read_projects(plain, mistakes) == row_reading.read_projects(artful, mistakes)
    assert told(mistakes) == []


def test_too_many_projects_are_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_reading, "MAX_PROJECTS", 2)
    mistakes = Mistakes()
    rows = [bundle.project_row(f"acme/{number}", "eea") for number in range(4)]
    row_reading.read_projects("".join(rows), mistakes)
    row_reading.read_projects("".join(rows) + "[[projects]] # written artfully", mistakes)
    assert told(mistakes) == [
        "projects.toml: has more than 2 [[projects]]",
        "projects.toml: has 5 [[projects]], more than 2",
    ]


@pytest.mark.parametrize("code", ["UK", "EU", "XX", "EL"])
def test_two_letters_that_are_no_country_are_refused(code: str) -> None:
    mistakes = Mistakes()
    row_reading.read_regions(bundle.region_row("x", code, "Amazon"), mistakes)
    assert told(mistakes) == [
        f"regions.toml: row 1 (x Amazon): `country` is '{code}'; it is written like DE or GB, by ISO 3166-1"
    ]
