"""Answers to all questions of one instant. Each rule is asked of Cedar for itself, once for every set of values that it
tells apart; an answer is then what Cedar makes of its rules:

- a forbid that holds denies; else a permit that holds allows; else nothing allows it;
- a rule that fails holds not, and no answer with a failure is an allow.

Two questions that differ only in a fact that no rule reads have the same answer, and so have two values that no rule
names. `WorldAt.asked_in_full` asks all of Cedar at once, as a gateway does; tests hold the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import cedarpy

from policies.residency.bundles.cedar_names import generic_project
from policies.residency.bundles.rule_reading import EntityName, RuleReading
from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Decision, Question, Situation
from policies.residency.review.question_space import (
    DIMENSIONS,
    FACTS,
    OF_ENGINES,
    PLAINEST,
    SUBJECT,
    UNKNOWN,
    YES_NO,
    Subject,
    Values,
    Who,
    World,
    is_read,
    speaks_of,
)
from policies.residency.vocabulary import DataClass, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.vocabulary import Action

_FAILED = "a rule failed"


@dataclass(frozen=True, slots=True)
class RuleTable:
    """When one rule holds, for a caller and a region.

    Attributes:
        dimensions: that it reads.
        class_of: for each of them, which of its classes of values a value is in.
        holding, failing: classes, one of each dimension.
        told: tables that tell the same are answered alike.
    """

    rule: RuleReading
    dimensions: tuple[str, ...]
    class_of: tuple[Mapping[str, int], ...]
    holding: frozenset[tuple[int, ...]]
    failing: frozenset[tuple[int, ...]]
    told: tuple[object, ...]

    @property
    def is_alive(self) -> bool:
        """Whether it ever says anything."""
        return bool(self.holding or self.failing)

    def key(self, chosen: Mapping[str, str]) -> tuple[int, ...]:
        return tuple(of[chosen[name]] for name, of in zip(self.dimensions, self.class_of, strict=True))


@dataclass(frozen=True, slots=True)
class Cell:
    """Who, what, where; and what may make a difference there.

    Attributes:
        classes: by dimension that a rule there reads, sets of values that are answered alike.
        tables: of the rules that ever hold there, for each bundle; None: the bundle does not know caller or region.
        told: cells that tell the same are answered alike, whatever the instant.
    """

    who: Who
    action: Action
    region: str
    classes: Mapping[str, tuple[frozenset[str], ...]]
    tables: tuple[tuple[RuleTable, ...] | None, ...]
    told: tuple[object, ...]


class WorldAt:
    """The world at one instant."""

    def __init__(self, world: World, at_s: int) -> None:
        self.world = world
        self.at_s = at_s
        self.engines = tuple(ResidencyEngine(bundle, at_s) for bundle in world.bundles)
        self.subjects: Mapping[str, Subject] = {each.label: each for each in world.subjects(self.engines)}
        self.asked = 0
        """Questions that were put to Cedar."""
        self._alone: dict[tuple[int, str], ResidencyEngine] = {}
        self._callers: dict[tuple[int, Who, Action], tuple[tuple[RuleReading, ...], dict[str, object]]] = {}
        self._places: dict[tuple[int, str], tuple[frozenset[str], dict[str, object]]] = {}
        self._own_classes: dict[tuple[int, str, bool], dict[str, tuple[frozenset[str], ...]]] = {}
        self._near: dict[tuple[object, ...], RuleTable] = {}

    def values_of(self, dimension: str) -> frozenset[str]:
        """All of them."""
        return frozenset(self.subjects) if dimension == SUBJECT else FACTS[dimension][1]

    def subject_of(self, countries: frozenset[str]) -> str:
        """Which of the speakers somebody in these countries is; of more than two, one who is protected alike."""
        if not countries:
            return UNKNOWN
        areas = tuple(self.world.areas_asked(engine.areas_of(countries)) for engine in self.engines)
        for label, subject in self.subjects.items():
            if label != UNKNOWN and subject.areas == areas:
                return label
        added = Subject(f"{', '.join(sorted(countries))}", countries, areas)
        self.subjects = {**self.subjects, added.label: added}
        self._own_classes.clear()
        self._near.clear()
        return added.label

    def cell(self, who: Who, action: Action, region: str, *, fixed: Values | None = None) -> Cell:
        """`fixed`: only these values are asked about, by dimension."""
        tables = self._tables(who, action, region)
        rules = [table.rule for of_bundle in tables for table in of_bundle or ()]
        classes = self._all_classes(rules, action)
        for name, kept in (fixed or {}).items():
            of_name = classes.get(name, (self.values_of(name),))
            classes[name] = tuple(each & kept for each in of_name if each & kept)
        return Cell(who, action, region, classes, tables, _told(tables))

    def is_equal(self, who: Who, action: Action, region: str) -> bool:
        """Whether all bundles answer alike there."""
        return len(set(_told(self._tables(who, action, region)))) == 1

    def unchanged_since(self, earlier: WorldAt) -> frozenset[str]:
        """Regions about which every answer is as it was."""
        if self.subjects != earlier.subjects or self._has_passed_a_date(earlier):
            return frozenset()
        return frozenset(
            region
            for region in self.world.regions
            if all(
                engine.regions.get(region) == before.regions.get(region)
                for engine, before in zip(self.engines, earlier.engines, strict=True)
            )
        )

    def _has_passed_a_date(self, earlier: WorldAt) -> bool:
        return any(
            earlier.at_s < at_s <= self.at_s
            for bundle in self.world.bundles
            for rule in bundle.rules.values()
            for at_s in rule.instants
        )

    def _tables(self, who: Who, action: Action, region: str) -> tuple[tuple[RuleTable, ...] | None, ...]:
        return tuple(self._tables_of(index, who, action, region) for index in range(len(self.engines)))

    def situations(self, cell: Cell) -> Iterator[Values]:
        """Sets of values that are answered alike; what nobody reads there stands for all of its values."""
        names = [*cell.classes]
        unread = {name: self.values_of(name) for name in DIMENSIONS if name not in cell.classes}
        for chosen in product(*cell.classes.values()):
            yield {**unread, **dict(zip(names, chosen, strict=True))}

    def answer(self, cell: Cell, values: Values, index: int) -> Decision:
        """What one of the bundles answers to these values."""
        tables = cell.tables[index]
        if tables is None:
            return self.asked_in_full(cell, values, index)
        chosen = {name: next(iter(values[name])) for name in cell.classes}
        held: dict[str, list[str]] = {"permit": [], "forbid": []}
        has_failed = False
        for table in tables:
            key = table.key(chosen)
            if key in table.holding:
                held[table.rule.effect].append(table.rule.id)
            elif key in table.failing:
                has_failed = True
        errors = (_FAILED,) if has_failed else ()
        if held["forbid"]:
            return Decision(Verdict.deny, tuple(sorted(held["forbid"])), errors)
        if held["permit"] and not errors:
            return Decision(Verdict.allow, tuple(sorted(held["permit"])))
        return Decision(Verdict.deny, (), errors)

    def asked_in_full(self, cell: Cell, values: Values, index: int) -> Decision:
        """The same of all rules together, as a gateway asks."""
        self.asked += 1
        return self.engines[index].decide(self.question(cell, values, index))

    def question(self, cell: Cell, values: Values, index: int) -> Question:
        """One question of these values to one of the bundles: the plainest of them."""
        chosen = {name: self._plainest(name, values[name]) for name in DIMENSIONS}
        return self._question(cell.who.asked_as[index], cell.action, cell.region, chosen)

    def _question(self, asked_as: tuple[str, str], action: Action, region: str, chosen: Mapping[str, str]) -> Question:
        profile, project = asked_as
        situation = Situation(
            profile=profile,
            project=project,
            data_class=DataClass(chosen["data class"]),
            subject_countries=self.subjects[chosen[SUBJECT]].countries,
            has_consent=chosen["consent"] == "yes",
            legal_basis=LegalBasis(chosen["legal basis"]),
        )
        return Question(
            situation=situation,
            action=action,
            region=region,
            capacity=CapacityClass(chosen["machine"]),
            trigger=Trigger(chosen["trigger"]),
            is_draining=chosen["draining"] == "yes",
            has_break_glass=chosen["break glass"] == "yes",
        )

    def _plainest(self, name: str, values: frozenset[str]) -> str:
        if name == SUBJECT:
            return next(label for label in self.subjects if label in values)
        return PLAINEST[name] if PLAINEST[name] in values else min(values)

    # --- rules, one by one ----------------------------------------------------------------------------------

    def _tables_of(self, index: int, who: Who, action: Action, region: str) -> tuple[RuleTable, ...] | None:
        bundle, engine = self.world.bundles[index], self.engines[index]
        if region not in engine.regions or who.asked_as[index][0] not in bundle.profiles:
            return None
        rules, caller = self._caller(index, who, action)
        here, place = self._place(index, region)
        tables = (
            self._table(index, rule, {**caller, **place}, (who, action, region)) for rule in rules if rule.id in here
        )
        return tuple(table for table in tables if table.is_alive)

    def _caller(self, index: int, who: Who, action: Action) -> tuple[tuple[RuleReading, ...], dict[str, object]]:
        """Rules whose head holds for them and this action, and what rules may read of them."""
        key = index, who, action
        if key not in self._callers:
            profile, project = who.asked_as[index]
            name = EntityName("Project", project or generic_project(profile))
            above = frozenset({EntityName("Profile", profile)})
            rules = tuple(
                rule
                for rule in self.world.readings[index].values()
                if speaks_of(rule, action) and rule.principal.holds(name, above)
            )
            self._callers[key] = rules, self.world.principal_facts(index, profile, project)
        return self._callers[key]

    def _place(self, index: int, region: str) -> tuple[frozenset[str], dict[str, object]]:
        """Rules whose head holds for a region, and what rules may read of it."""
        key = index, region
        if key not in self._places:
            facts = self.engines[index].regions[region]
            above = frozenset(EntityName("Jurisdiction", name) for name in facts.jurisdictions)
            readings = self.world.readings[index].values()
            rules = frozenset(rule.id for rule in readings if rule.resource.holds(EntityName("Region", region), above))
            self._places[key] = (
                rules,
                {
                    "resource": (region, facts.jurisdictions),
                    "resource.country": facts.country,
                    "resource.operator": facts.operator,
                    "resource.provider": facts.provider,
                    "resource.isSovereign": facts.is_sovereign,
                    "resource.certifications": facts.certifications,
                },
            )
        return self._places[key]

    def _table(
        self, index: int, rule: RuleReading, facts: Mapping[str, object], place: tuple[Who, Action, str]
    ) -> RuleTable:
        """Asked once for all callers, regions and instants of which the rule reads the same."""
        who, action, region = place
        is_of_engines = action in OF_ENGINES
        own = (index, rule.id, is_of_engines)
        if own not in self._own_classes:
            self._own_classes[own] = self._all_classes([rule], action)
        read = tuple(
            _as_read(rule, name, facts[name]) if name in facts else action if name == "action" else None
            for name in sorted(rule.reads)
        )
        near = (*own, read)
        if near not in self._near:
            classes = self._own_classes[own]
            areas = tuple(subject.areas[index] for subject in self.subjects.values()) if SUBJECT in classes else ()
            now_s = self.at_s if "context.now" in rule.reads else 0
            bundle = self.world.bundles[index]
            is_in_force = bundle.issued_at_s <= self.at_s < bundle.expires_at_s
            key = (rule.id, rule.body, bundle.schema_digest, is_in_force, read, now_s, areas, tuple(classes.items()))
            known = self.world.tables.get(key)
            if known is None:
                known = self.world.tables[key] = self._asked_alone(index, rule, who, action, region)
            self._near[near] = known
        return self._near[near]

    def _asked_alone(self, index: int, rule: RuleReading, who: Who, action: Action, region: str) -> RuleTable:
        classes = self._own_classes[index, rule.id, action in OF_ENGINES]
        engine = self._engine_of(index, rule)
        holding, failing = set(), set()
        for key in product(*(range(len(of)) for of in classes.values())):
            chosen = {**PLAINEST, SUBJECT: UNKNOWN}
            chosen.update({name: min(of[number]) for (name, of), number in zip(classes.items(), key, strict=True)})
            decision = engine.decide(self._question(who.asked_as[index], action, region, chosen))
            self.asked += 1
            if decision.rules:
                holding.add(key)
            if decision.errors:
                failing.add(key)
        class_of = tuple(
            {value: number for number, values in enumerate(of) for value in values} for of in classes.values()
        )
        in_values = [
            frozenset(
                chosen
                for key in keys
                for chosen in product(*(of[at] for of, at in zip(classes.values(), key, strict=True)))
            )
            for keys in (holding, failing)
        ]
        told = (rule.id, rule.effect, tuple(classes), *in_values)
        return RuleTable(rule, tuple(classes), class_of, frozenset(holding), frozenset(failing), told)

    def _engine_of(self, index: int, rule: RuleReading) -> ResidencyEngine:
        key = (index, rule.id)
        if key not in self._alone:
            self._alone[key] = ResidencyEngine(only_rule(self.world.bundles[index], rule.id), self.at_s)
        return self._alone[key]

    def _all_classes(self, rules: Sequence[RuleReading], action: Action) -> dict[str, tuple[frozenset[str], ...]]:
        reads = frozenset(fact for rule in rules for fact in rule.reads)
        return {name: self._classes(name, rules) for name in DIMENSIONS if is_read(name, reads, action)}

    def _classes(self, name: str, rules: Sequence[RuleReading]) -> tuple[frozenset[str], ...]:
        if name == SUBJECT:
            return self._subject_classes(rules)
        fact, every = FACTS[name]
        if every is YES_NO or any({fact, "context"} & rule.opaque for rule in rules):
            return tuple(frozenset({value}) for value in sorted(every))
        named = frozenset().union(*(rule.compared.get(fact, frozenset()) for rule in rules)) & every
        rest = every - named
        return (*(frozenset({value}) for value in sorted(named)), *((rest,) if rest else ()))

    def _subject_classes(self, rules: Sequence[RuleReading]) -> tuple[frozenset[str], ...]:
        is_opaque = any({"context.subject", "context"} & rule.opaque for rule in rules)
        asks_known = is_opaque or any("context.subjectKnown" in rule.reads for rule in rules)
        asked = frozenset().union(*(rule.compared.get("context.subject", frozenset()) for rule in rules))
        found: dict[object, set[str]] = {}
        for label, subject in self.subjects.items():
            areas = subject.areas if is_opaque else tuple(each & asked for each in subject.areas)
            found.setdefault((areas, asks_known and label == UNKNOWN), set()).add(label)
        return tuple(frozenset(labels) for labels in found.values())


def _told(tables: tuple[tuple[RuleTable, ...] | None, ...]) -> tuple[frozenset[tuple[object, ...]] | None, ...]:
    return tuple(None if of is None else frozenset(table.told for table in of) for of in tables)


def _as_read(rule: RuleReading, name: str, value: object) -> object:
    """As much of it as the rule can see: of a region that it compares with jurisdictions alone, those of them."""
    if name != "resource" or not isinstance(value, tuple) or name in rule.opaque:
        return value
    region, jurisdictions = value
    is_named = any(mention.kind == "Region" for mention in rule.mentions)
    return (region if is_named else "", jurisdictions & rule.compared.get(name, frozenset()))


def only_rule(bundle: Bundle, rule_id: str, text: str = "") -> Bundle:
    """The bundle with one of its rules alone, or with another text in its place."""
    rule = bundle.rules[rule_id]
    rules = cedarpy.PolicySet.from_str(text or rule.text)
    return replace(bundle, rules={rule_id: rule}, cedar_rules=rules, rule_ids={"policy0": rule_id})
