"""A bundle: the rules, rows and vocabulary that residency is decided by, read and checked as a whole or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cedarpy

from policies.residency.bundles import manifest, row_checks, row_reading
from policies.residency.bundles.manifest import files_digest
from policies.residency.bundles.mistakes import MOST_TOLD, BundleRefused, Mistakes
from policies.residency.bundles.rules import MAX_RULES, read_rules
from policies.residency.bundles.schema import FREE, check_fit, check_words, read_schema, words_of
from policies.residency.bundles.toml_tables import TableReader, document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from policies.residency.bundles.rows import JurisdictionRow, OperatorRow, Profile, Project, RegionRow
    from policies.residency.bundles.rules import Rule

__all__ = ["Bundle", "BundleRefused", "files_digest", "read_bundle"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bundle:
    """It may be used from `issued_at_s` to before `expires_at_s`.

    Attributes:
        digest: over all files but signatures; the others over parts (policies.residency.bundles.manifest).
        rules: by `@id`, in the order of files and text.
        vocabulary: members of each enumerated type of the schema, by its name without namespace.
        cedar_rules: the rules as Cedar holds them.
        rule_ids: `@id` by the number that Cedar gave the rule.
    """

    name: str
    version: str
    issued_at_s: int
    expires_at_s: int
    digest: str
    policy_digest: str
    entities_digest: str
    schema_digest: str
    rules: Mapping[str, Rule]
    profiles: Mapping[str, Profile]
    projects: Mapping[str, Project]
    jurisdictions: tuple[JurisdictionRow, ...]
    operators: tuple[OperatorRow, ...]
    regions: tuple[RegionRow, ...]
    scenario_files: Mapping[str, bytes]
    vocabulary: Mapping[str, tuple[str, ...]]
    cedar_schema: cedarpy.Schema
    cedar_rules: cedarpy.PolicySet
    rule_ids: Mapping[str, str]

    def instants(self) -> tuple[int, ...]:
        """Unix seconds at which decisions may change, sorted: between two of them none does."""
        found = {self.issued_at_s, self.expires_at_s}
        for rule in self.rules.values():
            found.update(rule.instants)
        for rows in (self.jurisdictions, self.operators, self.regions):
            for row in rows:
                found |= {row.starts_at_s, row.expires_at_s}
        return tuple(sorted(found))


def read_bundle(files: Mapping[str, bytes], *, release_gil: bool = False) -> Bundle:
    """Read and check all of it.

    Args:
        files: by their paths in the bundle. Other bytes than a bundle's are refused, whatever they are.
        release_gil: for a thread of its own: Cedar parses without holding up the others.

    Raises:
        BundleRefused: with every mistake that was found.
    """
    mistakes = Mistakes()
    manifest.check_files(files, mistakes)
    mistakes.refuse_if_any()
    texts = {path: manifest.text_in(files, path, mistakes) or "" for path in files if path.endswith(_READ)}
    mistakes.refuse_if_any()

    name, version, issued_at_s, expires_at_s = _about(texts[manifest.BUNDLE_FILE], mistakes)
    profiles = row_reading.read_profiles(texts[manifest.PROFILES_FILE], mistakes)
    jurisdictions = row_reading.read_jurisdictions(texts[manifest.JURISDICTIONS_FILE], mistakes)
    operators = row_reading.read_operators(texts[manifest.OPERATORS_FILE], mistakes)
    regions = row_reading.read_regions(texts[manifest.REGIONS_FILE], mistakes)
    projects = row_reading.read_projects(texts.get(manifest.PROJECTS_FILE, ""), mistakes)
    rules = _rules(files, texts, mistakes)
    region_names = {row.region for row in regions}
    row_checks.check_names_in_rules(rules, region_names, projects, profiles, mistakes)

    schema = read_schema(texts[manifest.SCHEMA_FILE], mistakes, release_gil=release_gil)
    if schema is None:
        mistakes.refuse_if_any()
    assert schema is not None
    words = words_of(schema, mistakes)
    check_words(words, profiles, mistakes)
    providers, certifications = words.get("Provider", ()), words.get("Certification", ())
    row_checks.check_jurisdictions(jurisdictions, words.get("Jurisdiction", ()), certifications, mistakes)
    row_checks.check_operators(operators, providers, certifications, mistakes)
    row_checks.check_regions(regions, {row.operator for row in operators}, certifications, mistakes)
    row_checks.check_projects(projects, profiles, region_names, providers, mistakes)
    if all(words.get(kind) for kind in FREE):
        check_fit(schema, words, mistakes)
    text = "\n".join(rule.text for rule in rules)
    _validate(text, rules, schema, mistakes, release_gil=release_gil)
    mistakes.refuse_if_any()
    return Bundle(
        name=name,
        version=version,
        issued_at_s=issued_at_s,
        expires_at_s=expires_at_s,
        digest=files_digest(files),
        policy_digest=manifest.policy_digest(files),
        entities_digest=manifest.entities_digest(files),
        schema_digest=manifest.schema_digest(files),
        rules={rule.id: rule for rule in rules},
        profiles=profiles,
        projects=projects,
        jurisdictions=jurisdictions,
        operators=operators,
        regions=regions,
        scenario_files=manifest.scenario_files(files),
        vocabulary=words,
        cedar_schema=schema,
        cedar_rules=cedarpy.PolicySet.from_str(text, release_gil=release_gil),
        rule_ids={f"policy{number}": rule.id for number, rule in enumerate(rules)},
    )


_NO_APPLICABLE_ACTION = "unable to find an applicable action"
_HEADS = (
    'A profile is written `principal in Asr::Profile::"…"`, a project `principal == Asr::Project::"…"`, a list of '
    'countries `resource in Asr::Jurisdiction::"…"`'
)
_READ = (".toml", ".cedar", ".cedarschema")


def _about(text: str, mistakes: Mistakes) -> tuple[str, str, int, int]:
    reader = TableReader(document(text, manifest.BUNDLE_FILE, mistakes) or {}, manifest.BUNDLE_FILE, mistakes)
    name = reader.text("name", _NAME, "acme-residency")
    version = reader.text("version", _NAME, "2026.1")
    issued_at_s, expires_at_s = reader.instant("issued_at"), reader.instant("expires_at")
    if reader.done() and issued_at_s >= expires_at_s:
        reader.tell("`expires_at` is not after `issued_at`")
    return name, version, issued_at_s, expires_at_s


def _rules(files: Mapping[str, bytes], texts: Mapping[str, str], mistakes: Mistakes) -> list[Rule]:
    rules: list[Rule] = []
    by_id: dict[str, Rule] = {}
    for path in manifest.rule_files(files):
        for rule in read_rules(texts[path], path, mistakes):
            if (other := by_id.setdefault(rule.id, rule)) is not rule:
                mistakes.add(
                    f"{path} line {rule.line} ({rule.id})", f"the same @id stands in {other.file} line {other.line}"
                )
            rules.append(rule)
        if len(rules) > MAX_RULES:
            mistakes.add("rules/", f"more than {MAX_RULES} rules")
            return []
        if mistakes.count > MOST_TOLD:
            return []
    if not rules:
        mistakes.add("rules/", "there is no rule")
    return rules


def _validate(
    text: str, rules: Sequence[Rule], schema: cedarpy.Schema, mistakes: Mistakes, *, release_gil: bool
) -> None:
    """Cedar's own check of rules against the schema. It numbers rules; people know them by `@id`."""
    by_number = {f"policy{number}": rule for number, rule in enumerate(rules)}
    try:
        result = cedarpy.validate_policies(text, schema, release_gil=release_gil)
        count = len(cedarpy.PolicySet.from_str(text))
    except ValueError as error:
        mistakes.add("rules/", str(error))
        return
    if count != len(rules):
        mistakes.add("rules/", f"Cedar reads {count} rules where {len(rules)} stand")
    for wrong in result.errors:
        rule = by_number.get(wrong.policy_id)
        said = wrong.error.removeprefix(f"for policy `{wrong.policy_id}`").lstrip(":, ")
        if said.startswith(_NO_APPLICABLE_ACTION):
            said = f"{said}: its head fits nothing that is ever asked. {_HEADS}"
        mistakes.add(f"{rule.file} line {rule.line} ({rule.id})" if rule else "rules/", said)
