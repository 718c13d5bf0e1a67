"""Where everybody is recognised, and where they could still go: when regions are lost, and when a day has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.residency.review.question_answers import WorldAt
from policies.residency.review.question_space import SUBJECT, UNKNOWN, World
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.question_space import Values, Who


class Strait(StrEnum):
    """What is bad about where somebody may still go; the worst comes first."""

    nowhere = "nowhere to go"
    cut = "running sessions end"
    """Sessions may begin elsewhere, but those that run may not go on there."""
    one_region = "one region left"
    no_checkpoint = "no checkpoints"
    """How far sessions are may be kept nowhere: a gateway that is lost loses them."""


@dataclass(frozen=True, slots=True)
class Sites:
    """What there is, as the catalog says. None: every region of the bundle has gateways, and engines of both classes.

    Attributes:
        engines: classes of machines, by region; a region without any is an edge site.
    """

    engines: Mapping[str, frozenset[CapacityClass]] | None = None

    def classes_in(self, region: str) -> frozenset[CapacityClass]:
        return frozenset(CapacityClass) if self.engines is None else self.engines.get(region, frozenset())

    def has(self, region: str) -> bool:
        return self.engines is None or region in self.engines


@dataclass(frozen=True, slots=True)
class Reach:
    """Regions where sessions of somebody may have a gateway, begin on an engine, go on on one, and be remembered."""

    gateways: frozenset[str]
    process: frozenset[str]
    failover: frozenset[str]
    checkpoints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prospect:
    """Of callers that fare alike.

    Attributes:
        names: the profile, or projects.
        speakers: for which of them it is so; empty: for all.
    """

    names: tuple[str, ...]
    profile: str
    data_class: DataClass
    speakers: tuple[str, ...]
    before: Reach
    after: Reach

    @property
    def straits(self) -> tuple[Strait, ...]:
        """None where nothing changes for them, or where they could go nowhere before either."""
        if not self.is_touched or not self.before.process:
            return ()
        if not self.after.process:
            return (Strait.nowhere,)
        found = []
        if self.before.failover and not self.after.failover:
            found.append(Strait.cut)
        if len(self.after.process) == 1:
            found.append(Strait.one_region)
        if self.before.checkpoints and not self.after.checkpoints:
            found.append(Strait.no_checkpoint)
        return tuple(found)

    @property
    def is_touched(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is supposed.

    Attributes:
        lost: regions of which nothing works.
        at_s: the instant afterwards; before is `now_s`.
        data_class: of everybody; None: as projects say, else personal.
    """

    now_s: int
    at_s: int
    lost: frozenset[str] = frozenset()
    sites: Sites = field(default_factory=Sites)
    data_class: DataClass | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """Callers that are asked about with the same facts."""

    who: Who
    names: tuple[str, ...]
    data_class: DataClass
    country: str
    legal_basis: LegalBasis


def prospects(bundle: Bundle, what_if: WhatIf) -> Iterator[Prospect]:
    """Of everybody; who fares worst comes first."""
    world = World([bundle])
    before, after = WorldAt(world, what_if.now_s), WorldAt(world, what_if.at_s)
    found = [prospect for case in _cases(bundle, world, what_if) for prospect in _of_case(case, before, after, what_if)]
    order = [*Strait]
    return iter(
        sorted(
            found,
            key=lambda each: (
                min((order.index(strait) for strait in each.straits), default=len(order)),
                not each.is_touched,
                each.profile,
                each.names,
            ),
        )
    )


def dated_changes(bundle: Bundle, from_s: int, until_s: int) -> tuple[tuple[int, str], ...]:
    """What begins and what ends after one instant and until another: rows, and rules that name a date."""
    found: list[tuple[int, str]] = []
    rows = [
        *((row, f"{row.code} is in {row.regime}" + ("" if row.scope == "all" else f" for operators with {row.scope}"))
          for row in bundle.jurisdictions),
        *((row, f"operator {row.operator}") for row in bundle.operators),
        *((row, f"region {row.region}") for row in bundle.regions),
    ]  # fmt: skip
    for row, name in rows:
        found += [(row.starts_at_s, f"begins: {name}"), (row.expires_at_s, f"ends: {name}")]
    for rule in bundle.rules.values():
        # Of each date and of the second after it, the date.
        dates = [at_s for at_s in rule.instants if at_s - 1 not in rule.instants]
        found += [(at_s, f"date in rule {rule.id}") for at_s in dates]
    found.append((bundle.expires_at_s, f"ends: the bundle {bundle.name} {bundle.version}; everything is denied"))
    return tuple(sorted(each for each in set(found) if from_s < each[0] <= until_s))


def _cases(bundle: Bundle, world: World, what_if: WhatIf) -> Iterator[_Case]:
    for who in world.whos:
        alike: dict[tuple[DataClass, str, LegalBasis], list[str]] = {}
        if who.has_others:
            usual = (what_if.data_class or DataClass.personal, "", LegalBasis.unstated)
            alike[usual] = [who.profile]
        for name in who.projects:
            row = bundle.projects[name]
            own = what_if.data_class or row.data_class or DataClass.personal
            key = (own, row.subject_country, row.legal_basis or LegalBasis.unstated)
            alike.setdefault(key, []).append(name)
        for (data_class, country, legal_basis), names in alike.items():
            yield _Case(who, tuple(names), data_class, country, legal_basis)


def _of_case(case: _Case, before: WorldAt, after: WorldAt, what_if: WhatIf) -> Iterator[Prospect]:
    countries = (
        [frozenset({case.country})]
        if case.country
        else [subject.countries for label, subject in before.subjects.items() if label != UNKNOWN]
    )
    alike: dict[tuple[Reach, Reach], list[str]] = {}
    for each in countries:
        now = _reach(before, case, each, what_if.sites, frozenset())
        then = _reach(after, case, each, what_if.sites, what_if.lost)
        alike.setdefault((now, then), []).append(before.subject_of(each))
    for (now, then), speakers in alike.items():
        told = () if len(alike) == 1 else tuple(speakers)
        yield Prospect(case.names, case.who.profile, case.data_class, told, now, then)


def _reach(at: WorldAt, case: _Case, countries: frozenset[str], sites: Sites, lost: frozenset[str]) -> Reach:
    fixed = _facts(at, case, countries)
    there = [region for region in at.world.regions if region not in lost and sites.has(region)]

    def may(action: Action, region: str, classes: frozenset[CapacityClass]) -> bool:
        trigger = Trigger.failover if action is Action.failover else Trigger.initial
        asked = {**fixed, "machine": classes, "trigger": frozenset({trigger})}
        cell = at.cell(case.who, action, region, fixed=asked)
        return any(at.answer(cell, values, 0).is_allowed for values in at.situations(cell))

    any_class = frozenset({CapacityClass.reserved})
    gateways = frozenset(region for region in there if may(Action.terminate, region, any_class))
    reachable = {
        region
        for region in there
        if sites.classes_in(region) and gateways and (region in gateways or may(Action.relay, region, any_class))
    }
    return Reach(
        gateways=gateways,
        process=frozenset(region for region in reachable if may(Action.process, region, sites.classes_in(region))),
        failover=frozenset(region for region in reachable if may(Action.failover, region, sites.classes_in(region))),
        checkpoints=frozenset(region for region in there if may(Action.store_checkpoint, region, any_class)),
    )


def _facts(at: WorldAt, case: _Case, countries: frozenset[str]) -> Values:
    profile = at.world.bundles[0].profiles[case.who.profile]
    consents = profile.requires_consent or case.legal_basis is LegalBasis.consent
    return {
        "data class": frozenset({case.data_class}),
        SUBJECT: frozenset({at.subject_of(countries)}),
        "consent": frozenset({"yes" if consents else "no"}),
        "legal basis": frozenset({case.legal_basis}),
        "draining": frozenset({"no"}),
        "break glass": frozenset({"no"}),
    }
