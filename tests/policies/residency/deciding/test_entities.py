"""What Cedar knows of regions and projects follows from the rows in force, and from nothing else."""

from __future__ import annotations

import pytest

from policies.residency.bundles.bundle import Bundle, read_bundle
from policies.residency.bundles.instants import seconds_of
from policies.residency.bundles.rows import Profile, Project
from policies.residency.deciding.entities import areas_at, profile_entity, project_entity, region_entity, regions_at
from tests.harness.residency_bundle import (
    NOON_S,
    OPERATORS,
    jurisdiction_row,
    operator_row,
    region_row,
    residency_files,
)

pytestmark = pytest.mark.unit

UNTIL_JULY = "effective_from = 2025-01-01T00:00:00Z\nexpires_at = 2026-07-01T00:00:00Z\n"
FROM_JULY = "effective_from = 2026-07-01T00:00:00Z\nexpires_at = 2028-01-01T00:00:00Z\n"
JULY_S = seconds_of("2026-07-01T00:00:00Z")


def jurisdictions_of(bundle: Bundle, region: str, at_s: int = NOON_S) -> frozenset[str]:
    return regions_at(bundle, at_s, areas_at(bundle, at_s))[region].jurisdictions


def test_a_region_belongs_to_every_regime_of_its_country() -> None:
    bundle = read_bundle(residency_files())
    assert jurisdictions_of(bundle, "eu-central-1") == {"EU", "EEA"}
    assert jurisdictions_of(bundle, "no-east-1") == {"EEA"}


def test_a_row_with_a_certification_counts_where_the_operator_holds_it_and_not_where_the_region_does() -> None:
    rows = jurisdiction_row("EEA", "US", "dpf")
    regions = (
        region_row("a", "US", "Amazon")
        + region_row("b", "US", "Microsoft")
        + region_row("no-east-1", "US", "Microsoft", '"dpf"')
    )
    bundle = read_bundle(residency_files(jurisdictions=rows, regions=regions, projects=""))
    assert [jurisdictions_of(bundle, name) for name in ("a", "b", "no-east-1")] == [{"EEA"}, set(), set()]
    assert areas_at(bundle, NOON_S).of("US") == set(), "a speaker holds no certification"


def test_a_region_holds_its_own_certifications_and_its_operators() -> None:
    bundle = read_bundle(residency_files())
    regions = regions_at(bundle, NOON_S, areas_at(bundle, NOON_S))
    assert regions["eu-west-1"].certifications == {"hipaa-baa", "dpf", "pci-dss"}
    assert regions["eu-sovereign-1"].is_sovereign
    assert (regions["eu-west-1"].provider, regions["eu-west-1"].contact) == ("aws", "dpo@example.com")


def test_a_region_changes_its_operator_at_midnight() -> None:
    regions = region_row("r", "DE", "Amazon", "", UNTIL_JULY) + region_row("r", "DE", "Microsoft", "", FROM_JULY)
    bundle = read_bundle(residency_files(regions=regions, projects=""))
    operators = [
        regions_at(bundle, at_s, areas_at(bundle, at_s))["r"].operator for at_s in (JULY_S - 1, JULY_S, JULY_S + 1)
    ]
    assert operators == ["Amazon", "Microsoft", "Microsoft"]


def test_a_region_is_there_only_while_it_and_its_operator_are() -> None:
    notice = UNTIL_JULY + "notice_given_at = 2026-05-15T00:00:00Z\nnotice_days = 30\n"
    bundle = read_bundle(
        residency_files(
            operators=OPERATORS + operator_row("New", "aws", "", notice),
            regions=region_row("r", "DE", "New") + region_row("s", "DE", "Amazon", "", FROM_JULY),
            projects="",
        )
    )
    starts_s = seconds_of("2026-06-14T00:00:00Z")
    known = {at_s: set(regions_at(bundle, at_s, areas_at(bundle, at_s))) for at_s in (starts_s - 1, starts_s, JULY_S)}
    assert known == {starts_s - 1: set(), starts_s: {"r"}, JULY_S: {"s"}}


def test_a_jurisdictions_row_ends_with_its_dates() -> None:
    bundle = read_bundle(residency_files(jurisdictions=jurisdiction_row("EU", "DE", "all", UNTIL_JULY)))
    assert jurisdictions_of(bundle, "eu-central-1", JULY_S - 1) == {"EU"}
    assert jurisdictions_of(bundle, "eu-central-1", JULY_S) == set()


def test_a_project_that_does_not_narrow_has_no_list_and_an_empty_list_is_one() -> None:
    profile = Profile("eea", "t", "o", is_restricted=True, requires_consent=False)
    plain = project_entity(Project("acme/a", "eea"), profile)
    assert plain == {
        "uid": {"type": "Asr::Project", "id": "acme/a"},
        "attrs": {
            "org": "acme",
            "noProviders": [],
            "requiresConsent": False,
            "isRestricted": True,
            "legalHold": False,
        },
        "parents": [{"type": "Asr::Profile", "id": "eea"}],
    }
    narrowed = project_entity(Project("acme/a", "eea", frozenset(), key_region="r"), profile)
    assert isinstance(narrowed["attrs"], dict)
    assert narrowed["attrs"]["onlyRegions"] == []
    assert narrowed["attrs"]["keyRegion"] == {"type": "Asr::Region", "id": "r"}
    generic = profile_entity(profile)
    assert generic["uid"] == {"type": "Asr::Project", "id": "profile:eea"}
    assert generic["attrs"] == {**plain["attrs"], "org": ""}  # type: ignore[dict-item]


def test_a_region_is_written_the_same_however_its_sets_are_ordered() -> None:
    bundle = read_bundle(residency_files())
    facts = regions_at(bundle, NOON_S, areas_at(bundle, NOON_S))["eu-west-1"]
    entity = region_entity(facts)
    assert entity["parents"] == [{"type": "Asr::Jurisdiction", "id": name} for name in ("EEA", "EU")]
