"""Reads the rows of a bundle from TOML. What belongs together across files is checked in row_checks.

A row that is wrong is told and comes all the same if it has a name, so that those that name it are not called wrong as
well: a bundle with one mistake is refused anyhow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypedDict

from policies.countries import COUNTRIES
from policies.residency.bundles import manifest
from policies.residency.bundles.plain_projects import read_plainly
from policies.residency.bundles.rows import JurisdictionRow, OperatorRow, Profile, Project, RegionRow, Transcripts
from policies.residency.bundles.toml_tables import TableReader, document, tables
from policies.residency.vocabulary import DataClass, LegalBasis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.residency.bundles.mistakes import Mistakes

MAX_PROFILES = 200
MAX_ROWS = 10_000
MAX_PROJECTS = 100_000
MAX_NOTICE_DAYS = 3_650
MAX_TRANSCRIPT_DAYS = 36_500

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_COUNTRY = re.compile("|".join(sorted(COUNTRIES)))
_LIKE_COUNTRY = "DE or GB, by ISO 3166-1"
_PROJECT = re.compile(r"[^/]{1,200}/.{1,200}")


def read_profiles(text: str, mistakes: Mistakes) -> dict[str, Profile]:
    profiles: dict[str, Profile] = {}
    for reader in _readers(text, manifest.PROFILES_FILE, "profiles", MAX_PROFILES, mistakes):
        profile = Profile(
            name=reader.text("name", _NAME, "eu-strict"),
            title=reader.text("title"),
            owner=reader.text("owner"),
            is_restricted=reader.flag("is_restricted"),
            requires_consent=reader.flag("requires_consent"),
        )
        if profile.name in profiles:
            reader.tell(f"there is another profile {profile.name!r}")
        reader.done()
        if profile.name:
            profiles[profile.name] = profile
    return profiles


def read_projects(text: str, mistakes: Mistakes) -> dict[str, Project]:
    path = manifest.PROJECTS_FILE
    found: Iterable[object] | None = read_plainly(text)
    if found is None:
        whole = document(text, path, mistakes)
        found = [] if whole is None else tables(whole, "projects", path, MAX_PROJECTS, mistakes)
    projects: dict[str, Project] = {}
    for number, table in enumerate(found, 1):
        if number > MAX_PROJECTS:
            mistakes.add(path, f"has more than {MAX_PROJECTS} [[projects]]")
            break
        name = table.get("project") if isinstance(table, dict) else None
        called = f" ({name[:80]})" if isinstance(name, str) else ""
        reader = TableReader(table, f"{path}: project {number}{called}", mistakes)
        project = _project(reader)
        if project.project in projects:
            reader.tell("there is another row for this project")
        reader.done()
        if project.project:
            projects[project.project] = project
    return projects


def read_jurisdictions(text: str, mistakes: Mistakes) -> tuple[JurisdictionRow, ...]:
    rows = []
    for reader in _readers(text, manifest.JURISDICTIONS_FILE, "rows", MAX_ROWS, mistakes):
        dated = _dated(reader)
        row = JurisdictionRow(
            regime=reader.text("regime"),
            code=reader.text("code", _COUNTRY, _LIKE_COUNTRY),
            scope=reader.text("scope"),
            basis=reader.text("basis"),
            source_url=reader.text("source_url"),
            retrieved_at_s=reader.instant("retrieved_at"),
            **dated,
        )
        reader.done()
        if row.regime:
            rows.append(row)
    return tuple(rows)


def read_operators(text: str, mistakes: Mistakes) -> tuple[OperatorRow, ...]:
    rows = []
    for reader in _readers(text, manifest.OPERATORS_FILE, "rows", MAX_ROWS, mistakes):
        dated = _dated(reader)
        has_notice = reader.has("notice_given_at") or reader.has("notice_days")
        row = OperatorRow(
            operator=reader.text("operator"),
            provider=reader.text("provider"),
            contact=reader.text("contact"),
            is_sovereign=reader.flag("is_sovereign"),
            certifications=reader.texts("certifications"),
            basis=reader.text("basis"),
            notice_given_at_s=reader.instant("notice_given_at") if has_notice else None,
            notice_days=reader.count("notice_days", most=MAX_NOTICE_DAYS) if has_notice else 0,
            **dated,
        )
        reader.done()
        if row.operator:
            rows.append(row)
    return tuple(rows)


def read_regions(text: str, mistakes: Mistakes) -> tuple[RegionRow, ...]:
    rows = []
    for reader in _readers(text, manifest.REGIONS_FILE, "rows", MAX_ROWS, mistakes):
        dated = _dated(reader)
        row = RegionRow(
            region=reader.text("region", _NAME, "eu-central-1"),
            country=reader.text("country", _COUNTRY, _LIKE_COUNTRY),
            operator=reader.text("operator"),
            certifications=reader.texts("certifications"),
            **dated,
        )
        reader.done()
        if row.region:
            rows.append(row)
    return tuple(rows)


def _readers(text: str, path: str, name: str, most: int, mistakes: Mistakes) -> Iterator[TableReader]:
    whole = document(text, path, mistakes)
    if whole is None:
        return
    for number, table in enumerate(tables(whole, name, path, most, mistakes), 1):
        yield TableReader(table, f"{path}: row {number}{_called(table)}", mistakes)


def _called(table: object) -> str:
    """What people know the row by."""
    if not isinstance(table, dict):
        return ""
    names = [table.get(key) for key in ("regime", "code", "region", "operator", "name")]
    said = " ".join(name[:60] for name in names if isinstance(name, str))
    return f" ({said})" if said else ""


class _Dated(TypedDict):
    """What every dated row says."""

    effective_from_s: int
    expires_at_s: int
    approved_by: str
    approved_at_s: int
    where: str


def _dated(reader: TableReader) -> _Dated:
    effective_from_s = reader.instant("effective_from")
    expires_at_s = reader.instant("expires_at")
    if reader.is_sound and effective_from_s >= expires_at_s:
        reader.tell("`expires_at` is not after `effective_from`")
    return {
        "effective_from_s": effective_from_s,
        "expires_at_s": expires_at_s,
        "approved_by": reader.text("approved_by"),
        "approved_at_s": reader.instant("approved_at"),
        "where": reader.where,
    }


def _project(reader: TableReader) -> Project:
    return Project(
        project=reader.text("project", _PROJECT, "ORG/PROJECT"),
        profile=reader.text("profile"),
        only_regions=reader.texts("only_regions") if reader.has("only_regions") else None,
        no_providers=reader.texts("no_providers"),
        data_class=reader.word("data_class", DataClass),
        subject_country=reader.optional_text("subject_country", _COUNTRY, _LIKE_COUNTRY),
        legal_basis=reader.word("legal_basis", LegalBasis),
        key_region=reader.optional_text("key_region") or None,
        legal_hold=reader.flag("legal_hold", default=False),
        transcripts=_transcripts(reader.table("transcripts")) if reader.has("transcripts") else None,
    )


def _transcripts(reader: TableReader) -> Transcripts:
    kept = Transcripts(region=reader.text("region"), days=reader.count("days", most=MAX_TRANSCRIPT_DAYS))
    reader.done()
    return kept
