"""A residency bundle for a lab: one profile for each list of regions, and dated rows for the regions. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import policies.residency

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVERYWHERE = "everywhere"
"""The profile of callers whose group names none."""
OPERATOR = "lab"
_COUNTRIES = ("US", "CA", "MX", "BR", "AR", "CL", "IS", "NO")
_EMBARGO = "EMBARGO"
_SCHEMA = Path(policies.residency.__file__).parent / "starter" / "schema.cedarschema"
_WORDS = 'owner("lab@example.com") @basis("a drill") @review_by("2099-12-31") @ticket("LAB-1")'
_LONG_S = 10 * 366 * 86_400


def country_of(number: int) -> str:
    """Of the region with this number: each has its own."""
    return _COUNTRIES[number]


@dataclass(frozen=True, slots=True)
class LabPolicy:
    """What a bundle of the lab says. Times are Unix seconds.

    Attributes:
        regions: of the world, in its order.
        lists: of each profile, the regions that may have its audio.
        row_ends: when the row of a region ends; of others far away.
        embargoed: regions that nobody may use, running sessions at once.
    """

    version: int
    regions: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]
    issued_at_s: int
    expires_at_s: int
    row_ends: Mapping[str, int] = field(default_factory=dict)
    embargoed: frozenset[str] = frozenset()

    def permits(self, profile: str, region: str, at_s: float) -> bool:
        """What it comes to, worked out without any engine of rules."""
        if not self.issued_at_s <= at_s < self.expires_at_s or region in self.embargoed:
            return False
        return region in self.lists.get(profile, ()) and at_s < self.row_ends.get(region, self.expires_at_s + _LONG_S)

    def next(self, *, now_s: float) -> LabPolicy:
        """The next version, which says the same. It is issued now: an older one does not come into force again."""
        return replace(self, version=self.version + 1, issued_at_s=int(now_s))

    def with_list(self, profile: str, regions: tuple[str, ...]) -> LabPolicy:
        return replace(self, lists={**self.lists, profile: regions})

    def with_row_end(self, region: str, at_s: float) -> LabPolicy:
        return replace(self, row_ends={**self.row_ends, region: int(at_s)})


def first_policy(
    regions: tuple[str, ...], profiles: Mapping[str, tuple[str, ...]], *, now_s: float, expires_in_s: float
) -> LabPolicy:
    lists = {EVERYWHERE: regions, **profiles}
    return LabPolicy(1, regions, lists, int(now_s) - 3_600, int(now_s + expires_in_s))


def bundle_files(policy: LabPolicy) -> dict[str, bytes]:
    """Its files, without signatures."""
    profiles = sorted(policy.lists)
    return {
        "bundle.toml": _text(
            ['name = "lab"', f'version = "{policy.version}"'],
            [f"issued_at = {_instant(policy.issued_at_s)}", f"expires_at = {_instant(policy.expires_at_s)}"],
        ),
        "schema.cedarschema": _schema(profiles).encode(),
        "rules/lab.cedar": _text(*(_rule(profile) for profile in profiles), _embargo_rule()),
        "profiles.toml": _text(*(_profile(profile) for profile in profiles)),
        "jurisdictions.toml": _text(*(_area_row(policy, area, region) for area, region in _areas(policy))),
        "operators.toml": _text(_operator_row(policy)),
        "regions.toml": _text(*(_region_row(policy, region) for region in policy.regions)),
    }


def _areas(policy: LabPolicy) -> Iterable[tuple[str, str]]:
    """(area, region): each profile is an area of its own."""
    for profile, regions in sorted(policy.lists.items()):
        yield from ((_area(profile), region) for region in regions)
    yield from ((_EMBARGO, region) for region in sorted(policy.embargoed))


def _area(profile: str) -> str:
    return f"OF-{profile}"


def _schema(profiles: list[str]) -> str:
    text = _SCHEMA.read_text(encoding="utf-8")
    areas = [_EMBARGO, *(_area(profile) for profile in profiles)]
    for kind, words in (("Profile", profiles), ("Jurisdiction", areas)):
        enumeration = f"entity {kind} enum {json.dumps(words)};"
        before, _, rest = text.partition(f"entity {kind} enum [")
        text = f"{before}{enumeration}{rest.partition('];')[2]}"
    return text


def _rule(profile: str) -> list[str]:
    return [
        f'@id("L-{profile}") @{_WORDS} @kind("profile")',
        f'permit (principal in Asr::Profile::"{profile}", action, resource in Asr::Jurisdiction::"{_area(profile)}");',
    ]


def _embargo_rule() -> list[str]:
    return [
        f'@id("L-EMBARGO") @{_WORDS} @kind("statutory") @running("at_once")',
        f'forbid (principal, action, resource in Asr::Jurisdiction::"{_EMBARGO}");',
    ]


def _profile(name: str) -> list[str]:
    return [
        "[[profiles]]",
        f'name = "{name}"',
        f'title = "{name}"',
        'owner = "lab@example.com"',
        "is_restricted = false",
        "requires_consent = false",
    ]


def _area_row(policy: LabPolicy, area: str, region: str) -> list[str]:
    return [
        "[[rows]]",
        f'regime = "{area}"',
        f'code = "{country_of(policy.regions.index(region))}"',
        'scope = "all"',
        'basis = "a drill"',
        'source_url = "https://lab.example/"',
        f"retrieved_at = {_instant(policy.issued_at_s)}",
        *_dates(policy),
    ]


def _operator_row(policy: LabPolicy) -> list[str]:
    return [
        "[[rows]]",
        f'operator = "{OPERATOR}"',
        'provider = "independent"',
        'contact = "lab@example.com"',
        "is_sovereign = false",
        "certifications = []",
        'basis = "a drill"',
        *_dates(policy),
    ]


def _region_row(policy: LabPolicy, region: str) -> list[str]:
    return [
        "[[rows]]",
        f'region = "{region}"',
        f'country = "{country_of(policy.regions.index(region))}"',
        f'operator = "{OPERATOR}"',
        "certifications = []",
        *_dates(policy, policy.row_ends.get(region)),
    ]


def _dates(policy: LabPolicy, ends_at_s: int | None = None) -> list[str]:
    return [
        f"effective_from = {_instant(policy.issued_at_s)}",
        f"expires_at = {_instant(policy.issued_at_s + _LONG_S if ends_at_s is None else ends_at_s)}",
        'approved_by = "lab"',
        f"approved_at = {_instant(policy.issued_at_s)}",
    ]


def _instant(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(*blocks: list[str]) -> bytes:
    return "\n".join(line for block in blocks for line in [*block, ""]).encode()
