"""An oracle: what a residency bundle says, worked out anew from its files, in the slowest and plainest way.

Nothing of the engine is used: the rows are read from the TOML as they stand, each question looks at all of them, and
tests.harness.plain_cedar works out the rules. So what the engine and this agree on was found twice.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.residency.decision import Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass
from tests.harness.plain_cedar import Asked, Entity, Instant, PlainRule, Uid, outcome, read_rules

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PlainAnswer:
    """`rules`: those that determined it. `has_errors`: something went wrong, and so it is no."""

    is_allowed: bool
    rules: tuple[str, ...] = ()
    has_errors: bool = False


NO = PlainAnswer(is_allowed=False, has_errors=True)


class PlainBundle:
    """The folder's files by their paths."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.head = _toml(files, "bundle.toml")
        self.rules: list[PlainRule] = []
        for path in sorted(files):
            if path.startswith("rules/") and path.endswith(".cedar"):
                self.rules += read_rules(files[path].decode())
        self.jurisdictions: list[Row] = _toml(files, "jurisdictions.toml").get("rows", [])
        self.operators: list[Row] = _toml(files, "operators.toml").get("rows", [])
        self.regions: list[Row] = _toml(files, "regions.toml").get("rows", [])
        self.profiles = {row["name"]: row for row in _toml(files, "profiles.toml").get("profiles", [])}
        self.projects = {row["project"]: row for row in _toml(files, "projects.toml").get("projects", [])}
        self._facts: tuple[float, PlainFacts] | None = None

    def ask(self, question: Question, at_s: float) -> PlainAnswer:
        if not _seconds(self.head["issued_at"]) <= at_s < _seconds(self.head["expires_at"]):
            return NO
        if self._facts is None or self._facts[0] != at_s:
            self._facts = at_s, PlainFacts(self, at_s)
        return self._facts[1].ask(question)

    def allowed(self, situation: Situation, regions: frozenset[str], at_s: float, **asked: Any) -> frozenset[str]:
        """Those of the regions in which it is allowed; `asked`: the other parts of a Question."""
        return frozenset(
            region for region in regions if self.ask(Question(situation, region=region, **asked), at_s).is_allowed
        )

    def instants(self) -> list[float]:
        """Whenever something may change: every date in the files and in the rules' conditions is among them."""
        rows = [*self.jurisdictions, *self.operators, *self.regions, self.head]
        dated = {_seconds(value) for row in rows for value in row.values() if isinstance(value, datetime)}
        return sorted(dated | {at_s for row in self.operators if (at_s := _noticed_s(row))})


class PlainFacts:
    """All that holds at one instant."""

    def __init__(self, bundle: PlainBundle, at_s: float) -> None:
        self._bundle = bundle
        self._at_s = at_s
        self._areas = [row for row in bundle.jurisdictions if _is_in_force(row, at_s)]
        self._operators = {row["operator"]: row for row in bundle.operators if _is_operator_in_force(row, at_s)}
        self._regions = {row["region"]: row for row in bundle.regions if _is_in_force(row, at_s)}
        self._entities: dict[Uid, Entity] = {}
        for name, row in self._regions.items():
            if row["operator"] in self._operators:
                self._entities[_uid("Region", name)] = self._region(row)

    def ask(self, question: Question) -> PlainAnswer:
        situation = question.situation
        principal = self._principal(situation)
        resource = _uid("Region", question.region)
        if principal is None or resource not in self._entities:
            return NO
        uid, entity = principal
        asked = Asked(
            principal=uid,
            action=_uid("Action", question.action.value),
            resource=resource,
            context=self._context(question),
            entities=self._entities | {uid: entity},
        )
        is_allowed, rules, has_errors = outcome(self._bundle.rules, asked)
        return PlainAnswer(is_allowed and not has_errors, rules, has_errors)

    def _region(self, row: Row) -> Entity:
        operator = self._operators[row["operator"]]
        certifications = frozenset([*row.get("certifications", []), *operator.get("certifications", [])])
        attributes = {
            "country": row["country"],
            "operator": row["operator"],
            "provider": _uid("Provider", operator["provider"]),
            "isSovereign": operator.get("is_sovereign", False),
            "certifications": frozenset(_uid("Certification", name) for name in certifications),
        }
        held = frozenset(operator.get("certifications", []))
        areas = {
            area["regime"]
            for area in self._areas
            if area["code"] == row["country"] and (area["scope"] == "all" or area["scope"] in held)
        }
        return Entity(attributes, frozenset(_uid("Jurisdiction", area) for area in areas))

    def _principal(self, situation: Situation) -> tuple[Uid, Entity] | None:
        profile = self._bundle.profiles.get(situation.profile)
        if profile is None:
            return None
        row: Row = {}
        if situation.project:
            row = self._bundle.projects.get(situation.project, {})
            if row.get("profile") != situation.profile:
                return None
        attributes: dict[str, object] = {
            "org": situation.project.partition("/")[0],
            "noProviders": frozenset(_uid("Provider", name) for name in row.get("no_providers", [])),
            "requiresConsent": profile.get("requires_consent", False),
            "isRestricted": profile.get("is_restricted", False),
            "legalHold": row.get("legal_hold", False),
        }
        if row.get("only_regions"):
            attributes["onlyRegions"] = frozenset(_uid("Region", name) for name in row["only_regions"])
        if row.get("key_region"):
            attributes["keyRegion"] = _uid("Region", row["key_region"])
        uid = _uid("Project", situation.project or f"profile:{situation.profile}")
        return uid, Entity(attributes, frozenset({_uid("Profile", situation.profile)}))

    def _context(self, question: Question) -> dict[str, object]:
        situation = question.situation
        return {
            "now": Instant(round(self._at_s * 1_000)),
            "dataClass": _uid("DataClass", situation.data_class.value),
            "subject": frozenset(_uid("Jurisdiction", area) for area in self.areas_of(situation.subject_countries)),
            "subjectKnown": bool(situation.subject_countries),
            "hasConsent": situation.has_consent,
            "legalBasis": _uid("LegalBasis", situation.legal_basis.value),
            "capacity": _uid("Capacity", question.capacity.value),
            "trigger": _uid("Trigger", question.trigger.value),
            "isDraining": question.is_draining,
            "hasBreakGlass": question.has_break_glass,
        }

    def areas_of(self, countries: frozenset[str]) -> set[str]:
        """The areas that a speaker from there is in; a certificate of an operator says nothing of speakers."""
        return {area["regime"] for area in self._areas if area["scope"] == "all" and area["code"] in countries}


def every_question(
    situations: list[Situation], regions: list[str], *, has_break_glass: bool = False
) -> Iterator[Question]:
    """All that may be asked about them."""
    for situation in situations:
        for region in regions:
            for action in Action:
                for capacity in CapacityClass:
                    for trigger in Trigger:
                        for is_draining in (False, True):
                            yield Question(situation, action, region, capacity, trigger, is_draining, has_break_glass)


WORDS = {"data_class": tuple(DataClass), "legal_basis": tuple(LegalBasis)}


def _uid(kind: str, name: str) -> Uid:
    return Uid(f"Asr::{kind}", name)


def _toml(files: Mapping[str, bytes], path: str) -> dict[str, Any]:
    return tomllib.loads(files.get(path, b"").decode())


def _seconds(instant: datetime) -> float:
    return instant.timestamp()


def _is_in_force(row: Row, at_s: float) -> bool:
    return _seconds(row["effective_from"]) <= at_s and not ("expires_at" in row and _seconds(row["expires_at"]) <= at_s)


def _is_operator_in_force(row: Row, at_s: float) -> bool:
    return _is_in_force(row, at_s) and at_s >= _noticed_s(row)


def _noticed_s(row: Row) -> float:
    """When the term of its notice is over; 0: it needed none."""
    if "notice_given_at" not in row:
        return 0.0
    return _seconds(row["notice_given_at"]) + 86_400.0 * float(row["notice_days"])
