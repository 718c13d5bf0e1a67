"""All that bundles can be asked about: callers, actions, regions, and the facts that rules read.

Callers whose rows say the same are one here, and so are speakers in countries that rules do not tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from policies.residency.bundles.rule_reading import EntityName, RuleReading, fact_name, read_rules
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rows import Project
    from policies.residency.deciding.engine import ResidencyEngine
    from policies.residency.review.question_answers import RuleTable

UNKNOWN = "not known"
"""Of a speaker: nobody knows where."""
_MAX_SUBJECTS = 64
"""Beyond so many no sets of three countries and more are made."""
YES_NO = frozenset({"yes", "no"})
OF_ENGINES = frozenset({Action.process, Action.failover})
"""Only these depend on the class of an engine's machine."""

FACTS: Mapping[str, tuple[str, frozenset[str]]] = {
    "data class": ("context.dataClass", frozenset(DataClass)),
    "machine": ("context.capacity", frozenset(CapacityClass)),
    "consent": ("context.hasConsent", YES_NO),
    "legal basis": ("context.legalBasis", frozenset(LegalBasis)),
    "trigger": ("context.trigger", frozenset(Trigger)),
    "draining": ("context.isDraining", YES_NO),
    "break glass": ("context.hasBreakGlass", YES_NO),
}
SUBJECT = "speaker"
DIMENSIONS = ("data class", SUBJECT, "machine", "consent", "legal basis", "trigger", "draining", "break glass")
"""In which order they are told."""
SUBJECT_FACTS = ("context.subject", "context.subjectKnown")
PLAINEST = {
    "data class": DataClass.personal.value,
    "machine": CapacityClass.reserved.value,
    "consent": "no",
    "legal basis": LegalBasis.unstated.value,
    "trigger": Trigger.initial.value,
    "draining": "no",
    "break glass": "no",
}
_SPOKEN_OF_FIRST = (
    "DE",
    "FR",
    "CH",
    "GB",
    "US",
    "IN",
    "AU",
    "JP",
    "CA",
    "BR",
    "NO",
    "IE",
    "NL",
    "SG",
    "KR",
    "MX",
    "ZA",
)
"""Countries that stand for others, ISO 3166-1."""

Values = Mapping[str, frozenset[str]]
"""By dimension, those values that have one answer together."""


@dataclass(frozen=True, slots=True)
class Who:
    """Callers that no rule can tell apart.

    Attributes:
        profile: theirs; in the last bundle that knows them.
        projects: rows of theirs, `ORG/PROJECT`.
        has_others: callers of the profile without a row are among them.
        asked_as: (profile, project) for each bundle.
    """

    profile: str
    projects: tuple[str, ...]
    has_others: bool
    asked_as: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        if self.has_others:
            return self.profile
        first, *more = self.projects
        return f"{first} ({self.profile})" if not more else f"{first} and {len(more)} more ({self.profile})"


@dataclass(frozen=True, slots=True)
class Subject:
    """Speakers that no rule can tell apart. `countries`: one of theirs, or two; none: not known."""

    label: str
    countries: frozenset[str]
    areas: tuple[frozenset[str], ...] = ()
    """Of those that rules name, for each bundle."""


class World:
    """What bundles speak of, all of them together: callers, actions, regions, and what rules read."""

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        self.bundles = tuple(bundles)
        self.readings: tuple[dict[str, RuleReading], ...] = tuple(read_rules(bundle.rules) for bundle in bundles)
        everything = [rule for readings in self.readings for rule in readings.values()]
        self.reads = frozenset(fact for rule in everything for fact in rule.reads)
        self._own_projects = {name.id for rule in everything for name in rule.mentions if name.kind == "Project"}
        self._is_opaque_principal = any("principal" in rule.opaque for rule in everything)
        subjects = [rule.compared.get("context.subject", frozenset()) for rule in everything]
        self.areas = frozenset().union(*subjects)
        """That rules ask of speakers."""
        self._has_several = any(len(areas) > 1 for areas in subjects) or (
            len(self.areas) > 1 and not all(_only_closes(rule) for rule in everything)
        )
        """Who is in two countries may be answered otherwise than both of those who are in one of them."""
        self._is_opaque_subject = any("context.subject" in rule.opaque for rule in everything)
        self._dimensions: dict[Action, tuple[str, ...]] = {}
        self.tables: dict[tuple[object, ...], RuleTable] = {}
        """What each rule says for itself, by all that it reads (policies.residency.review.question_answers)."""

    @cached_property
    def regions(self) -> tuple[str, ...]:
        return tuple(sorted({row.region for bundle in self.bundles for row in bundle.regions}))

    @cached_property
    def whos(self) -> tuple[Who, ...]:
        """Callers of each profile, and those projects that are not as the others of theirs."""
        profiles = sorted({name for bundle in self.bundles for name in bundle.profiles})
        found: dict[object, tuple[tuple[tuple[str, str], ...], str, list[str], bool]] = {}
        for name in profiles:
            asked = tuple((name, "") for _ in self.bundles)
            found[self._alike(asked)] = (asked, name, [], True)
        for project in sorted({name for bundle in self.bundles for name in bundle.projects}):
            asked = self._asked_as(project)
            key = self._alike(asked)
            if key in found:
                found[key][2].append(project)
            else:
                found[key] = (asked, asked[-1][0], [project], False)
        return tuple(
            Who(profile, tuple(projects), has_others, asked) for asked, profile, projects, has_others in found.values()
        )

    def _asked_as(self, project: str) -> tuple[tuple[str, str], ...]:
        """A bundle without its row is asked as for a caller of the profile that it has in the other."""
        rows = [bundle.projects.get(project) for bundle in self.bundles]
        known = [row.profile for row in rows if row is not None]
        return tuple((known[-1], "") if row is None else (row.profile, project) for row in rows)

    def _alike(self, asked: tuple[tuple[str, str], ...]) -> object:
        told = []
        for index, (profile, project) in enumerate(asked):
            facts = self.principal_facts(index, profile, project)
            told.append(tuple(value for name, value in facts.items() if name == "principal" or name in self.reads))
        return tuple(told)

    def principal_facts(self, index: int, profile: str, project: str) -> dict[str, object]:
        """What rules of one of the bundles may read of a caller. `principal`: which of its names rules know."""
        bundle = self.bundles[index]
        row = bundle.projects.get(project) if project else None
        of_profile = bundle.profiles.get(profile)
        is_own = self._is_opaque_principal or project in self._own_projects
        every = {
            **_row_facts(row),
            "requiresConsent": of_profile is not None and of_profile.requires_consent,
            "isRestricted": of_profile is None or of_profile.is_restricted,
        }
        return {
            "principal": (profile, project if is_own else ""),
            **{f"principal.{name}": value for name, value in every.items()},
        }

    def dimensions(self, action: Action) -> tuple[str, ...]:
        """What any rule that may speak of the action reads."""
        if action in self._dimensions:
            return self._dimensions[action]
        reads = frozenset(
            fact
            for readings in self.readings
            for rule in readings.values()
            if speaks_of(rule, action)
            for fact in rule.reads
        )
        self._dimensions[action] = tuple(name for name in DIMENSIONS if is_read(name, reads, action))
        return self._dimensions[action]

    def size(self, values: Values, action: Action) -> int:
        """How many decisions they are: values of what rules on the action read, multiplied."""
        return prod(len(values[name]) for name in self.dimensions(action))

    def subjects(self, engines: Sequence[ResidencyEngine]) -> tuple[Subject, ...]:
        """One for each set of areas that a country may have, or several together where that makes a difference; and
        nobody knows. Of very many sets, those of two countries at most.
        """
        countries = sorted({row.code for bundle in self.bundles for row in bundle.jurisdictions})
        order = [*_SPOKEN_OF_FIRST, *(code for code in countries if code not in _SPOKEN_OF_FIRST)]
        found: dict[tuple[frozenset[str], ...], Subject] = {}
        for code in order:
            self._add_subject(found, engines, frozenset({code}))
        if self._has_several or self._is_opaque_subject:
            alone, known = [*found.values()], 0
            while known < len(found) and (not known or len(found) <= _MAX_SUBJECTS):
                known = len(found)
                for one, other in product([*found.values()], alone):
                    self._add_subject(found, engines, one.countries | other.countries)
        return (*found.values(), Subject(UNKNOWN, frozenset(), tuple(frozenset() for _ in engines)))

    def areas_asked(self, areas: frozenset[str]) -> frozenset[str]:
        """As much of them as rules can see."""
        return areas if self._is_opaque_subject else areas & self.areas

    def _add_subject(
        self,
        found: dict[tuple[frozenset[str], ...], Subject],
        engines: Sequence[ResidencyEngine],
        countries: frozenset[str],
    ) -> None:
        every = tuple(engine.areas_of(countries) for engine in engines)
        key = tuple(map(self.areas_asked, every))
        if key not in found:
            named = sorted(frozenset().union(*key))
            such = " and ".join(sorted(countries))
            label = f"{', '.join(named)} (such as {such})" if named else f"elsewhere (such as {such})"
            found[key] = Subject(label, countries, key)


def _only_closes(rule: RuleReading) -> bool:
    """Whether somebody who is in more countries can only be forbidden more by it: a forbid that asks for an area and
    never for its absence. Where all rules are like that, and each asks for one area, who is in two countries may what
    he may in both of them.
    """
    asks = [(kind, body) for kind, body in rule.conditions if _reads_subject(body)]
    return not asks or (rule.effect == "forbid" and all(kind == "when" and _is_positive(body) for kind, body in asks))


def _reads_subject(node: object) -> bool:
    waiting = [node]
    while waiting:
        match waiting.pop():
            case {"Var": "context"}:
                return True
            case {".": {"left": {"Var": "context"}, "attr": str(name)}}:
                if name == "subject":
                    return True
            case dict() as each:
                waiting.extend(each.values())
            case list() as members:
                waiting.extend(members)
    return False


def _is_positive(node: object) -> bool:
    waiting = [node]
    while waiting:
        match waiting.pop():
            case each if not _reads_subject(each):
                continue
            case {"&&": {"left": left, "right": right}} | {"||": {"left": left, "right": right}}:
                waiting += [left, right]
            case {"contains": {"left": left, "right": right}} | {"containsAny": {"left": left, "right": right}}:
                if fact_name(left) != "context.subject" or _reads_subject(right):
                    return False
            case _:
                return False
    return True


def _row_facts(row: Project | None) -> dict[str, object]:
    if row is None:
        return {"org": "", "onlyRegions": None, "noProviders": frozenset(), "keyRegion": None, "legalHold": False}
    return {
        "org": row.org,
        "onlyRegions": row.only_regions,
        "noProviders": row.no_providers,
        "keyRegion": row.key_region,
        "legalHold": row.legal_hold,
    }


def speaks_of(rule: RuleReading, action: Action) -> bool:
    """A group of actions, which only a schema knows, may hold any of them."""
    scope = rule.action
    named = (*scope.within, *(() if scope.exactly is None else (scope.exactly,)))
    if any(name.id not in Action.__members__ for name in named):
        return True
    return scope.holds(EntityName("Action", action.value), frozenset())


def oddity(values: Values) -> int:
    """How many facts are not the usual ones."""
    return sum(value not in values[name] for name, value in PLAINEST.items())


def is_read(dimension: str, reads: frozenset[str], action: Action) -> bool:
    """Whether answers about the action may depend on it, where rules read these facts."""
    if dimension == "machine" and action not in OF_ENGINES:
        return False
    if "context" in reads:
        return True
    if dimension == SUBJECT:
        return any(fact in reads for fact in SUBJECT_FACTS)
    return FACTS[dimension][0] in reads
