"""Bundles that nobody would think of: the rules that ship, over rows and projects drawn by dice.

Dates lie around the moments at which the proof looks, so that rows begin, end and change hands in between; and around
the dates that the rules themselves name.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import policies.residency
from policies.residency.vocabulary import DataClass, LegalBasis
from tests.proof.toml_text import toml_pairs, toml_tables

STARTER = Path(policies.residency.__file__).parent / "starter"
HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
COUNTRIES = (
    *("DE", "FR", "NL", "IE", "SE", "PL", "IS", "NO", "CH", "GB", "US", "US", "CA", "BR", "JP", "KR", "IN", "SG"),
    *("AU", "AE", "RU", "IR"),
)
REGIONS = (
    *("eu-central-1", "eu-west-1", "eu-west-2", "eu-north-1", "us-east-1", "us-west-2", "us-gov-1", "ca-central-1"),
    *("sa-east-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "me-central-1"),
)
_DRAWN_ACTIONS = ("terminate", "process", "failover", "relay", "store_checkpoint")
_WORD = re.compile(r'"([^"]+)"')
_LITERAL = re.compile(rb'datetime\("([^"]+)"\)')


@dataclass(frozen=True)
class Words:
    """What a schema enumerates."""

    providers: tuple[str, ...]
    certifications: tuple[str, ...]
    profiles: tuple[str, ...]


def starter_files() -> dict[str, bytes]:
    """The starter set as a folder's files."""
    return {
        str(path.relative_to(STARTER)): path.read_bytes()
        for path in sorted(STARTER.rglob("*"))
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }


def words_of(schema: bytes) -> Words:
    return Words(*(_enumerated(schema.decode(), kind) for kind in ("Provider", "Certification", "Profile")))


def literal_instants(files: Mapping[str, bytes]) -> list[datetime]:
    """The dates that rules name."""
    found = {
        text.decode()
        for path, content in files.items()
        if path.endswith(".cedar")
        for text in _LITERAL.findall(content)
    }
    return sorted(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) for text in found)


class BundleMaker:
    """Makes bundles over one starter set. `dice` decides everything."""

    def __init__(self, starter: Mapping[str, bytes], dice: random.Random) -> None:
        self._starter = starter
        self._dice = dice
        self._words = words_of(starter["schema.cedarschema"])
        self._areas = _rows_of(starter["jurisdictions.toml"])
        self._literals = literal_instants(starter)

    def noon(self) -> datetime:
        """The moment around which one bundle's dates lie: on some day, or as a date of a rule goes by."""
        if self._literals and self._dice.random() < 0.4:
            return self._dice.choice(self._literals) - HOUR / 2
        return datetime(2026, 12, 1, 12, tzinfo=UTC) + timedelta(days=self._dice.randrange(300))

    def make(self, regions: Sequence[str], noon: datetime, *, version: str = "1") -> dict[str, bytes]:
        """The files of one; every region of the list has a row, but for one now and then."""
        known = [name for name in regions if self._dice.random() > 0.04] or [regions[0]]
        operators = [f"operator-{number}" for number in range(1, self._dice.randint(2, 6))]
        return {
            **{path: content for path, content in self._starter.items() if path.startswith("rules/")},
            "rules/drawn.cedar": self._drawn_rules(known, noon).encode(),
            "schema.cedarschema": self._starter["schema.cedarschema"],
            "profiles.toml": self._starter["profiles.toml"],
            "bundle.toml": toml_pairs(
                {
                    "name": "drawn",
                    "version": version,
                    "issued_at": noon - timedelta(days=30),
                    "expires_at": noon + self._dice.choice((3 * HOUR, YEAR, YEAR, YEAR, YEAR)),
                }
            ),
            "jurisdictions.toml": toml_tables("rows", [self._area(area, noon) for area in self._kept_areas()]),
            "operators.toml": toml_tables("rows", [row for name in operators for row in self._operator(name, noon)]),
            "regions.toml": toml_tables("rows", [row for name in known for row in self._region(name, operators, noon)]),
            "projects.toml": toml_tables("projects", [self._project(f"org-{number}", known) for number in range(5)]),
        }

    def _kept_areas(self) -> list[dict[str, Any]]:
        return [area for area in self._areas if area["code"] in COUNTRIES and self._dice.random() > 0.02]

    def _area(self, area: dict[str, Any], noon: datetime) -> dict[str, Any]:
        if self._dice.random() > 0.08:
            return {**area, "effective_from": min(area["effective_from"], noon - YEAR)} | _approved(noon)
        return {**area, **self._span(noon)} | _approved(noon)

    def _operator(self, name: str, noon: datetime) -> list[dict[str, Any]]:
        """One row, or two of which one follows the other."""
        dice = self._dice

        def row(**dates: Any) -> dict[str, Any]:
            certifications = [word for word in self._words.certifications if dice.random() < 0.45]
            given_at = noon - dice.choice((30 * 24 - 1, 30 * 24 - 3, 31 * 24, 5 * 24)) * HOUR
            is_new = dice.random() < 0.12 and given_at + 30 * 24 * HOUR < dates["expires_at"]
            return {
                "operator": name,
                "provider": dice.choice(self._words.providers),
                "contact": "privacy@operator.example",
                "is_sovereign": dice.random() < 0.3,
                "certifications": certifications,
                "basis": "contract",
                "notice_given_at": given_at if is_new else None,
                "notice_days": 30 if is_new else None,
                **dates,
                **_approved(noon),
            }

        return [row(**span) for span in self._spans(noon)]

    def _region(self, name: str, operators: Sequence[str], noon: datetime) -> list[dict[str, Any]]:
        dice = self._dice
        country = dice.choice(COUNTRIES)

        def row(**dates: Any) -> dict[str, Any]:
            return {
                "region": name,
                "country": country,
                "operator": dice.choice(operators),
                "certifications": [word for word in self._words.certifications if dice.random() < 0.3],
                **dates,
                **_approved(noon),
            }

        return [row(**span) for span in self._spans(noon)]

    def _project(self, org: str, regions: Sequence[str]) -> dict[str, Any]:
        dice = self._dice
        some = sorted(dice.sample(list(regions), dice.randint(1, len(regions))))
        return {
            "project": f"{org}/calls",
            "profile": dice.choice(self._words.profiles),
            "only_regions": some if dice.random() < 0.4 else None,
            "no_providers": [dice.choice(self._words.providers)] if dice.random() < 0.3 else None,
            "data_class": dice.choice(list(DataClass)).value if dice.random() < 0.5 else None,
            "legal_basis": dice.choice(list(LegalBasis)).value if dice.random() < 0.5 else None,
            "key_region": dice.choice(list(regions)) if dice.random() < 0.2 else None,
            "legal_hold": dice.random() < 0.2,
        }

    def _spans(self, noon: datetime) -> list[dict[str, Any]]:
        roll = self._dice.random()
        if roll < 0.75:
            return [{"effective_from": noon - YEAR, "expires_at": noon + YEAR}]
        if roll < 0.9:
            return [self._span(noon)]
        turn = noon + self._dice.choice((1, 3)) * HOUR
        return [
            {"effective_from": noon - YEAR, "expires_at": turn},
            {"effective_from": turn, "expires_at": noon + YEAR},
        ]

    def _span(self, noon: datetime) -> dict[str, Any]:
        begins = noon + self._dice.choice((-YEAR, -YEAR, HOUR, 3 * HOUR))
        ends = noon + self._dice.choice((-24 * HOUR, HOUR, 3 * HOUR, YEAR))
        if ends <= begins:
            begins = ends - YEAR
        return {"effective_from": begins, "expires_at": ends}

    def _drawn_rules(self, regions: Sequence[str], noon: datetime) -> str:
        """Rules of no sense, each with a date within the hours at which the proof looks."""
        dice, rules = self._dice, []
        for number in range(dice.randint(0, 5)):
            at = (noon + dice.choice((1, 2, 3)) * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
            region = f'Asr::Region::"{dice.choice(list(regions))}"'
            profile = f'Asr::Profile::"{dice.choice(self._words.profiles)}"'
            owner = '@owner("proof") @basis("none") @review_by("2099-01-01") @ticket("PROOF-1")'
            when = dice.choice(
                (
                    f'context.now >= datetime("{at}")',
                    f'context.now < datetime("{at}") && context.subject.isEmpty()',
                    f'context.now >= datetime("{at}") || context.hasConsent',
                    "context.hasBreakGlass",
                    'context.trigger != Asr::Trigger::"initial"',
                    'context.trigger == Asr::Trigger::"drain"',
                    'context.capacity == Asr::Capacity::"spot"',
                    "principal has keyRegion && principal.keyRegion != resource",
                )
            )
            who = dice.choice(("principal", f"principal in {profile}", f"principal in {profile}"))
            what = dice.choice(("action", *(f'action == Asr::Action::"{name}"' for name in _DRAWN_ACTIONS)))
            where = dice.choice(("resource", f"resource == {region}", f"resource == {region}"))
            effect = dice.choice(("forbid", "forbid", "permit"))
            if effect == "permit" and (who, where) == ("principal", "resource"):
                who = f"principal in {profile}"
            rules.append(
                f'@id("D{number + 1:02}-drawn") {owner}\n{effect} ({who}, {what}, {where})\nwhen {{ {when} }};'
            )
        return "\n".join([*rules, ""])


@cache
def _rows_of(text: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads(text.decode())["rows"]
    return rows


def _approved(noon: datetime) -> dict[str, Any]:
    return {"approved_by": "proof", "approved_at": noon - YEAR}


def _enumerated(schema: str, kind: str) -> tuple[str, ...]:
    matched = re.search(rf"entity\s+{kind}\s+enum\s*\[([^\]]*)\]", schema)
    if matched is None:
        raise ValueError(f"the schema enumerates no {kind}")
    return tuple(_WORD.findall(matched.group(1)))
