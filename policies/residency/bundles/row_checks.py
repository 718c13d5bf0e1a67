"""Whether rows, rules and vocabulary of a bundle belong together.

What is empty was told when the row was read, and is not told again.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from policies.residency.bundles import manifest
from policies.residency.bundles.cedar_names import generic_project
from policies.residency.bundles.rows import ALL, JurisdictionRow, OperatorRow, RegionRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from policies.residency.bundles.mistakes import Mistakes
    from policies.residency.bundles.rows import DatedRow, Profile, Project
    from policies.residency.bundles.rules import Rule


def check_jurisdictions(
    rows: Sequence[JurisdictionRow], regimes: Iterable[str], certifications: Iterable[str], mistakes: Mistakes
) -> None:
    regimes, certifications = frozenset(regimes), frozenset(certifications)
    for row in rows:
        if row.regime not in regimes:
            mistakes.add(row.where, f"unknown regime {row.regime!r}")
        if row.scope not in ("", ALL) and row.scope not in certifications:
            mistakes.add(row.where, f"`scope` is {row.scope!r}: it is {ALL!r} or a certification of the schema")
    _check_overlaps(((f"{row.regime} {row.code} {row.scope}", row) for row in rows), mistakes)


def check_operators(
    rows: Sequence[OperatorRow], providers: Iterable[str], certifications: Iterable[str], mistakes: Mistakes
) -> None:
    providers, certifications = frozenset(providers), frozenset(certifications)
    for row in rows:
        if row.provider and row.provider not in providers:
            mistakes.add(row.where, f"unknown provider {row.provider!r}")
        _check_certifications(row, row.certifications, certifications, mistakes)
        if row.effective_from_s < row.expires_at_s <= row.starts_at_s:
            mistakes.add(row.where, "the days of notice end after the row: it is never in force")
    _check_overlaps(((row.operator, row) for row in rows), mistakes)


def check_regions(
    rows: Sequence[RegionRow], operators: Iterable[str], certifications: Iterable[str], mistakes: Mistakes
) -> None:
    operators, certifications = frozenset(operators), frozenset(certifications)
    for row in rows:
        if row.operator and row.operator not in operators:
            mistakes.add(row.where, f"unknown operator {row.operator!r}")
        _check_certifications(row, row.certifications, certifications, mistakes)
    _check_overlaps(((row.region, row) for row in rows), mistakes)


def check_projects(
    projects: Mapping[str, Project],
    profiles: Mapping[str, Profile],
    regions: Iterable[str],
    providers: Iterable[str],
    mistakes: Mistakes,
) -> None:
    regions, providers = frozenset(regions), frozenset(providers)
    for project in projects.values():
        named = project.only_regions or frozenset()
        if project.key_region is not None:
            named |= {project.key_region}
        if project.transcripts is not None and project.transcripts.region:
            named |= {project.transcripts.region}
        has_profile = not project.profile or project.profile in profiles
        if has_profile and named <= regions and project.no_providers <= providers:
            continue
        where = f"{manifest.PROJECTS_FILE}: {project.project[:80]}"
        if not has_profile:
            mistakes.add(where, f"unknown profile {project.profile!r}")
        for region in sorted(named - regions):
            mistakes.add(where, f"unknown region {region!r}")
        for provider in sorted(project.no_providers - providers):
            mistakes.add(where, f"unknown provider {provider!r}")


def check_names_in_rules(
    rules: Iterable[Rule],
    regions: Iterable[str],
    projects: Mapping[str, Project],
    profiles: Iterable[str],
    mistakes: Mistakes,
) -> None:
    """Regions and projects are not enumerated in the schema, so Cedar would not notice a name that is nobody's."""
    regions, generic = frozenset(regions), frozenset(map(generic_project, profiles))
    for rule in rules:
        for kind, name in sorted(rule.named):
            is_unknown = (kind == "Region" and name not in regions) or (
                kind == "Project" and name not in projects and name not in generic
            )
            if is_unknown:
                mistakes.add(f"{rule.file} line {rule.line} ({rule.id})", f"unknown {kind.lower()} {name!r}")


def _check_certifications(
    row: OperatorRow | RegionRow, said: frozenset[str], known: frozenset[str], mistakes: Mistakes
) -> None:
    for certification in sorted(said - known):
        mistakes.add(row.where, f"unknown certification {certification!r}")


def _check_overlaps(rows: Iterable[tuple[str, DatedRow]], mistakes: Mistakes) -> None:
    """At any instant one row at most is in force for a name."""
    by_name: dict[str, list[DatedRow]] = {}
    for name, row in rows:
        if row.effective_from_s < row.expires_at_s:
            by_name.setdefault(name, []).append(row)
    for name, group in by_name.items():
        group.sort(key=lambda row: row.starts_at_s)
        for earlier, later in pairwise(group):
            if later.starts_at_s < earlier.expires_at_s:
                mistakes.add(later.where, f"is in force for {name!r} together with {earlier.where}")
