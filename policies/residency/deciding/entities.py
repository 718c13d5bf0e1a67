"""Regions and projects as Cedar knows them at one instant, made of the rows that are in force then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.residency.bundles.cedar_names import generic_project, uid
from policies.residency.bundles.rows import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rows import OperatorRow, Profile, Project, RegionRow


@dataclass(frozen=True, slots=True)
class RegionFactsAt:
    """What rules may ask of a region.

    Attributes:
        certifications: its own and its operator's.
        jurisdictions: regimes that it belongs to.
        contact: of its operator.
    """

    region: str
    country: str
    operator: str
    provider: str
    is_sovereign: bool
    certifications: frozenset[str]
    jurisdictions: frozenset[str]
    contact: str


@dataclass(frozen=True, slots=True)
class Areas:
    """Regimes by (country, scope), of the rows in force at one instant."""

    by_country_and_scope: Mapping[tuple[str, str], frozenset[str]]

    def of(self, country: str, certifications: Iterable[str] = ()) -> frozenset[str]:
        """Regimes that the country belongs to, for somebody who holds these certifications."""
        found = self.by_country_and_scope.get((country, ALL), frozenset())
        for certification in certifications:
            found |= self.by_country_and_scope.get((country, certification), frozenset())
        return found


def areas_at(bundle: Bundle, at_s: int) -> Areas:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for row in bundle.jurisdictions:
        if row.in_force_at(at_s):
            key = row.code, row.scope
            found[key] = found.get(key, frozenset()) | {row.regime}
    return Areas(found)


def regions_at(bundle: Bundle, at_s: int, areas: Areas) -> dict[str, RegionFactsAt]:
    """Those that have a row in force, and whose operator has one."""
    operators = {row.operator: row for row in bundle.operators if row.in_force_at(at_s)}
    return {
        row.region: _facts(row, operators[row.operator], areas)
        for row in bundle.regions
        if row.in_force_at(at_s) and row.operator in operators
    }


def _facts(row: RegionRow, operator: OperatorRow, areas: Areas) -> RegionFactsAt:
    return RegionFactsAt(
        region=row.region,
        country=row.country,
        operator=row.operator,
        provider=operator.provider,
        is_sovereign=operator.is_sovereign,
        certifications=row.certifications | operator.certifications,
        jurisdictions=areas.of(row.country, operator.certifications),
        contact=operator.contact,
    )


def region_entity(facts: RegionFactsAt) -> dict[str, object]:
    """Written so that Cedar reads it with the schema."""
    return {
        "uid": uid("Region", facts.region),
        "attrs": {
            "country": facts.country,
            "operator": facts.operator,
            "provider": uid("Provider", facts.provider),
            "isSovereign": facts.is_sovereign,
            "certifications": [uid("Certification", name) for name in sorted(facts.certifications)],
        },
        "parents": [uid("Jurisdiction", name) for name in sorted(facts.jurisdictions)],
    }


def project_entity(project: Project, profile: Profile) -> dict[str, object]:
    """As above. A project that does not narrow its regions has no `onlyRegions` at all."""
    attributes: dict[str, object] = {
        "org": project.org,
        "noProviders": [uid("Provider", name) for name in sorted(project.no_providers)],
        "requiresConsent": profile.requires_consent,
        "isRestricted": profile.is_restricted,
        "legalHold": project.legal_hold,
    }
    if project.only_regions is not None:
        attributes["onlyRegions"] = [uid("Region", name) for name in sorted(project.only_regions)]
    if project.key_region is not None:
        attributes["keyRegion"] = uid("Region", project.key_region)
    return {"uid": uid("Project", project.project), "attrs": attributes, "parents": [uid("Profile", profile.name)]}


def profile_entity(profile: Profile) -> dict[str, object]:
    """The project of callers that have this profile and no row of their own. It belongs to no org."""
    return {
        "uid": uid("Project", generic_project(profile.name)),
        "attrs": {
            "org": "",
            "noProviders": [],
            "requiresConsent": profile.requires_consent,
            "isRestricted": profile.is_restricted,
            "legalHold": False,
        },
        "parents": [uid("Profile", profile.name)],
    }
