"""Answers questions with a bundle at one instant. Anything but a clean allow is a deny.

What must stay true:

- Cedar gets the schema with every question: without it, a question that lacks half its facts may be allowed.
- An allow that comes with errors is a deny: Cedar leaves out a forbid that fails.
- What the bundle does not know is denied before Cedar is asked: a permit for everybody would allow it.
- Outside its own dates a bundle allows nothing.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

import cedarpy

from policies.residency.bundles.cedar_names import action_uid, generic_project, uid
from policies.residency.bundles.instants import FAR_S, text_of
from policies.residency.deciding.entities import areas_at, profile_entity, project_entity, region_entity, regions_at
from policies.residency.decision import Decision, Question, Situation
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.bundles.rules import Rule
    from policies.residency.deciding.entities import RegionFactsAt

MAX_PROJECTS_HELD = 2_048
"""Projects whose entity is held parsed. Another takes the place of the one not asked about for longest."""

_FACTS_OF_A_QUESTION = frozenset({"capacity", "trigger", "isDraining", "hasBreakGlass"})
_ACTIONS = {action: action_uid(action) for action in Action}


class ResidencyEngine:
    """A bundle at `at_s`. What it says holds from `from_s` to before `until_s` and is the same for all of that time.

    Attributes:
        regions: those that are known then, by name.
    """

    def __init__(self, bundle: Bundle, at_s: int, *, release_gil: bool = False) -> None:
        """`release_gil`: for a thread of its own, as for read_bundle."""
        self.bundle = bundle
        self.at_s = at_s
        instants = bundle.instants()
        place = bisect_right(instants, at_s)
        self.from_s = instants[place - 1] if place else 0
        self.until_s = instants[place] if place < len(instants) else FAR_S
        self._areas = areas_at(bundle, at_s)
        self.regions: Mapping[str, RegionFactsAt] = regions_at(bundle, at_s, self._areas)
        entities = [region_entity(facts) for facts in self.regions.values()]
        entities += [profile_entity(profile) for profile in bundle.profiles.values()]
        self._entities = cedarpy.Entities.from_json_str(
            json.dumps(entities), bundle.cedar_schema, release_gil=release_gil
        )
        self._areas_asked = _areas_asked(bundle.rules.values())
        self._facts_asked = {action: _facts_asked(action, bundle.rules.values()) for action in Action}
        self._with_project: OrderedDict[str, cedarpy.Entities] = OrderedDict()
        self._region_uids = {name: uid("Region", name) for name in self.regions}
        self._context = _ContextWriter(text_of(max(0, min(self.from_s, FAR_S - 1))))
        self._not_in_force = self._why_not_in_force()

    def holds_at(self, now_s: float) -> bool:
        """Whether what it says is what the bundle says at that instant. Where not, make another engine."""
        return self.from_s <= now_s < self.until_s

    def without_idle_facts(self, question: Question) -> tuple[CapacityClass, Trigger, bool, bool]:
        """Capacity, trigger, draining and break glass of it; those that no rule about its action asks are as nobody
        said them. Two questions alike in these have one answer.
        """
        asked = self._facts_asked.get(question.action, _FACTS_OF_A_QUESTION)
        return (
            question.capacity if "capacity" in asked else CapacityClass.reserved,
            question.trigger if "trigger" in asked else Trigger.initial,
            question.is_draining and "isDraining" in asked,
            question.has_break_glass and "hasBreakGlass" in asked,
        )

    def areas_of(self, countries: Iterable[str]) -> frozenset[str]:
        """Regimes that protect somebody who is in one of these countries."""
        found: frozenset[str] = frozenset()
        for country in countries:
            found |= self._areas.of(country)
        return found

    def areas_asked(self, countries: Iterable[str]) -> frozenset[str]:
        """Those of areas_of that a rule may look for: with the others, decisions are the same as without them."""
        found = self.areas_of(countries)
        return found if self._areas_asked is None else found & self._areas_asked

    def decide(self, question: Question) -> Decision:
        """Ask Cedar. It takes about a tenth of a millisecond; policies.residency.deciding.table remembers."""
        if self._not_in_force:
            return Decision(Verdict.deny, errors=(self._not_in_force,))
        situation = question.situation
        if (unknown := self._unknown(situation, question.region)) is not None:
            return Decision(Verdict.deny, errors=(unknown,))
        try:
            request = {
                "principal": uid("Project", situation.project or generic_project(situation.profile)),
                "action": _ACTIONS[question.action],
                "resource": self._region_uids[question.region],
                "context": self._context.write(question, self.areas_asked(situation.subject_countries)),
            }
            answer = cedarpy.is_authorized(
                request, self.bundle.cedar_rules, self._entities_for(situation.project), self.bundle.cedar_schema
            )
        except (ValueError, TypeError, KeyError) as error:
            return Decision(Verdict.no_decision, errors=(f"the question cannot be asked: {error!r}",))
        errors = tuple(map(self._with_ids, answer.diagnostics.errors))
        rules = tuple(sorted(self.bundle.rule_ids.get(number, number) for number in answer.diagnostics.reasons))
        match answer.decision:
            case cedarpy.Decision.Allow:
                if errors:
                    return Decision(Verdict.deny, errors=(*errors, f"allowed by {', '.join(rules)} in spite of errors"))
                return Decision(Verdict.allow, rules)
            case cedarpy.Decision.Deny:
                return Decision(Verdict.deny, rules, errors)
            case _:
                return Decision(Verdict.no_decision, errors=errors or ("Cedar came to no decision",))

    def _unknown(self, situation: Situation, region: str) -> str | None:
        """What of it the bundle does not know at this instant."""
        if not situation.profile:
            return "the session has no residency profile"
        if situation.profile not in self.bundle.profiles:
            return f"unknown profile {situation.profile!r}"
        if situation.project:
            project = self.bundle.projects.get(situation.project)
            if project is None:
                return f"unknown project {situation.project!r}"
            if project.profile != situation.profile:
                return f"project {situation.project!r} has profile {project.profile!r}, not {situation.profile!r}"
        if region not in self.regions:
            return f"unknown region {region!r}"
        return None

    def _entities_for(self, project: str) -> cedarpy.Entities:
        """Regions, profiles and this project. Twenty thousand projects take seconds to parse, one of them nothing."""
        if not project:
            return self._entities
        if (held := self._with_project.get(project)) is not None:
            self._with_project.move_to_end(project)
            return held
        row = self.bundle.projects[project]
        entity = project_entity(row, self.bundle.profiles[row.profile])
        made = self._entities.with_added_json_str(json.dumps([entity]), self.bundle.cedar_schema)
        self._with_project[project] = made
        if len(self._with_project) > MAX_PROJECTS_HELD:
            self._with_project.popitem(last=False)
        return made

    def _why_not_in_force(self) -> str:
        bundle = self.bundle
        if self.at_s < bundle.issued_at_s:
            return f"bundle {bundle.name} {bundle.version} is not in force yet"
        if self.at_s >= bundle.expires_at_s:
            return f"bundle {bundle.name} {bundle.version} has expired"
        return ""

    def _with_ids(self, error: str) -> str:
        """Cedar names rules by number, in backquotes or alone."""
        for number, rule_id in self.bundle.rule_ids.items():
            if f"`{number}`" in error:
                return error.replace(f"`{number}`", f"`{rule_id}`")
        return error


def _areas_asked(rules: Iterable[Rule]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for rule in rules:
        if rule.areas is None:
            return None
        found |= rule.areas
    return found


def _facts_asked(action: Action, rules: Iterable[Rule]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for rule in rules:
        if rule.actions is None or action in rule.actions:
            found |= _FACTS_OF_A_QUESTION if rule.facts is None else rule.facts
    return found


class _ContextWriter:
    """The facts of a question as JSON, of parts that are written once."""

    def __init__(self, now: str) -> None:
        self._begin = f'{{"now":{json.dumps(now)},"dataClass":'
        self._classes = {word: json.dumps(uid("DataClass", word)) for word in DataClass}
        self._bases = {word: json.dumps(uid("LegalBasis", word)) for word in LegalBasis}
        self._capacities = {word: json.dumps(uid("Capacity", word)) for word in CapacityClass}
        self._triggers = {word: json.dumps(uid("Trigger", word)) for word in Trigger}

    def write(self, question: Question, subject: frozenset[str]) -> str:
        situation = question.situation
        areas = json.dumps([uid("Jurisdiction", name) for name in sorted(subject)]) if subject else "[]"
        return (
            f"{self._begin}{self._classes[situation.data_class]}"
            f',"subject":{areas},"subjectKnown":{_flag(bool(situation.subject_countries))}'
            f',"hasConsent":{_flag(situation.has_consent)},"legalBasis":{self._bases[situation.legal_basis]}'
            f',"capacity":{self._capacities[question.capacity]},"trigger":{self._triggers[question.trigger]}'
            f',"isDraining":{_flag(question.is_draining)},"hasBreakGlass":{_flag(question.has_break_glass)}}}'
        )


def _flag(value: bool) -> str:
    return "true" if value else "false"
