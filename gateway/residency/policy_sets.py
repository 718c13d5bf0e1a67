"""Policy sets by the bundle in force.

These must stay true:
  - Without a table for now nobody has a set.
  - A region that the bundle lacks, or of which the catalog says something else, is in no set.
  - A refusal names rules and permitted gateways, and never a region that is not permitted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.admission.policy_sets import PermittedGateways, PolicyDigests, PolicySet
from gateway.errors import Reason, SessionRefused, Unavailable, WrongRegion
from gateway.residency.break_glass_union import NoGlass, with_break_glass
from gateway.residency.start_to_come import what_a_start_may_say
from policies.residency.deciding.table import MAX_SITUATIONS
from policies.residency.decision import Question
from policies.residency.situation import NOTHING_STATED, SituationConflict, Sources, Stated, situation_of
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import ALL_CLASSES, CapacityClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway.admission.places import Place
    from gateway.residency.break_glass_union import Glass
    from gateway.residency.in_force import BundlesInForce
    from gateway.residency.metrics import ResidencyMetrics
    from policies.facts import Caller
    from policies.residency.bundles.bundle import Bundle
    from policies.residency.deciding.table import DecisionTable
    from policies.residency.decision import Decision, Situation
    from policies.residency.permitted import Permitted
    from regions.catalog import Catalog

log = structlog.get_logger("residency")

_RECOGNISING = (Action.process, Action.failover)
_BREAKABLE = (Action.terminate, Action.process, Action.failover, Action.store_checkpoint)
_DENIED = SessionRefused(Reason.residency_denied)
_BETWEEN_TABLES_MS = 200
_MOST_TRIED = 8
"""Answers of a `start` that is to come; if more could let it in, it is waited for."""
_NO_GLASS = NoGlass()


class BundlePolicySets(PermittedGateways):
    """PolicySets (gateway.admission.policy_sets).

    Args:
        catalog: gives the one in force; where it has no regions, this gateway's own is all there is.
        glass: emergency permissions.
    """

    def __init__(
        self,
        in_force: BundlesInForce,
        *,
        region: str,
        catalog: Callable[[], Catalog],
        metrics: ResidencyMetrics,
        glass: Glass = _NO_GLASS,
    ) -> None:
        super().__init__(region=region, catalog=catalog)
        self._in_force = in_force
        self._metrics = metrics
        self._glass = glass
        self._known: tuple[DecisionTable, Catalog, frozenset[str]] | None = None
        self._prepared: set[Situation] = set()
        self._may_yet: dict[object, bool] = {}
        """What `may_yet_permit` said, by all that it depends on."""
        self._differing: frozenset[str] = frozenset()
        in_force.warm_with = self._questions
        if in_force.table is not None:
            self._regions(in_force.table)  # what differs is told at the start

    @property
    def is_ready(self) -> bool:
        return not self._in_force.is_between_tables

    # --- the set of a caller ----------------------------------------------------------------------------------

    async def prepare(self, caller: Caller, request: Stated, place: Place | None) -> None:
        table = self._in_force.table
        if table is None:
            return
        situation = self._situation(table.engine.bundle, caller, request, place)
        if isinstance(situation, SessionRefused):
            return
        regions = self._regions(table)  # forgets what was prepared for another table or catalog
        if situation in self._prepared:
            return
        for _ in table.fill(self._questions(table, (situation,))):
            await asyncio.sleep(0)
        if len(self._prepared) >= MAX_SITUATIONS:
            self._prepared.clear()
        if regions is self._regions(table):
            self._prepared.add(situation)

    def permitted(
        self, caller: Caller, request: Stated = NOTHING_STATED, place: Place | None = None
    ) -> PolicySet | SessionRefused:
        table = self._in_force.table
        if table is None:
            is_soon = self._in_force.is_between_tables
            return Unavailable(Reason.residency_unavailable, retry_after_ms=_BETWEEN_TABLES_MS if is_soon else None)
        bundle = table.engine.bundle
        situation = self._situation(bundle, caller, request, place)
        if isinstance(situation, SessionRefused):
            return situation
        permitted = self._permitted(table, situation, self._region)
        return PolicySet(
            permitted,
            situation.profile,
            situation,
            bundle.profiles[situation.profile].is_restricted,
            PolicyDigests(bundle.version, bundle.policy_digest, bundle.entities_digest, bundle.schema_digest),
            self._glass_used(table, situation, permitted),
        )

    def _situation(
        self, bundle: Bundle, caller: Caller, request: Stated, place: Place | None
    ) -> Situation | SessionRefused:
        project = f"{caller.tenant}/{caller.project}"
        sources = Sources(
            project,
            bundle.projects.get(project),
            caller.residency_profile,
            caller.stated,
            request,
            "" if place is None else place.country,
        )
        found = situation_of(sources)
        if isinstance(found, SituationConflict):
            return SessionRefused(Reason.residency_conflict, found.detail)
        if not found.profile:
            return _unknown("the token names no residency profile, and its project has none")
        if found.profile not in bundle.profiles:
            return _unknown(f"the residency profile `{found.profile}` is not known here")
        return found

    def _permitted(self, table: DecisionTable, situation: Situation, here: str) -> Permitted:
        """For a session whose connection a gateway of `here` ends."""
        regions = self._regions(table)
        without = table.permitted(situation, regions, here=here)
        covered = frozenset(
            (action, region)
            for region in regions
            for action in _BREAKABLE
            if self._glass.covering(situation, action, region)
        )
        if not covered:
            return without
        return with_break_glass(without, table.permitted(situation, regions, here=here, has_break_glass=True), covered)

    def _glass_used(self, table: DecisionTable, situation: Situation, permitted: Permitted) -> str:
        """The emergency permission without which the set would be smaller; empty: none is needed for it."""
        without = table.permitted(situation, self._regions(table), here=self._region)
        if without == permitted:
            return ""
        for action, more in (
            (Action.terminate, permitted.terminate - without.terminate),
            (Action.process, permitted.process - without.process),
            (Action.failover, permitted.failover - without.failover),
            (Action.store_checkpoint, permitted.checkpoint - without.checkpoint),
        ):
            for region in sorted(more):
                return self._glass.covering(situation, action, region)
        return ""

    def note_session(self, policies: PolicySet, session_id: str) -> None:
        if policies.break_glass:
            self._glass.note_used(policies.break_glass, action=Action.process, region=self._region, session=session_id)

    def _questions(self, table: DecisionTable, situations: Iterable[Situation]) -> Iterator[Question]:
        regions = sorted(self._regions(table))
        for situation in situations:
            yield from table.questions_of(situation, regions, self._region)

    # --- regions that catalog and bundle agree on ---------------------------------------------------------------

    def agrees_on(self, region: str) -> bool:
        """Whether the catalog says of it what the bundle in force does; False, too, where none is in force."""
        table = self._in_force.table
        return table is not None and region in self._regions(table)

    def _regions(self, table: DecisionTable) -> frozenset[str]:
        catalog = self._catalog()
        known = self._known
        if known is not None and known[0] is table and known[1] is catalog:
            return known[2]
        facts = table.engine.regions
        agreed: set[str] = set()
        differing: set[str] = set()
        for name in catalog.regions or (self._region,):
            row, spec = facts.get(name), catalog.regions.get(name)
            is_same = row is not None and (spec is None or (spec.country, spec.operator) == (row.country, row.operator))
            (agreed if is_same else differing).add(name)
        self._prepared.clear()
        self._may_yet.clear()
        self._known = table, catalog, frozenset(agreed)
        self._tell_differing(frozenset(differing))
        return self._known[2]

    def _tell_differing(self, differing: frozenset[str]) -> None:
        if differing == self._differing:
            return
        self._differing = differing
        self._metrics.differing.clear()
        for region in differing:
            self._metrics.differing.labels(region).set(1)
        if differing:
            log.error("residency.regions_differ", regions=sorted(differing))

    # --- what may not be, and why ---------------------------------------------------------------------------------

    def refusal_here(self, policies: PolicySet, place: Place | None) -> SessionRefused | None:
        permitted = policies.permitted
        may_end_here = self._region in permitted.terminate
        if may_end_here and (permitted.process or permitted.failover):
            return None
        rules = self.rules_against(policies, self._denied_action(policies), self._region)
        useful = self._useful_gateways(policies, place)
        if useful is None:
            return SessionRefused(Reason.residency_denied, f"{_DENIED.detail.partition(';')[0]} ({_by(rules)})")
        what = "be recognised from" if may_end_here else "come to"
        return WrongRegion(f"the audio may not {what} this region ({_by(rules)}); connect to one of `gateways`", useful)

    def _denied_action(self, policies: PolicySet) -> Action:
        """What this region may not do for the session: end its connection, or else have it recognised from here."""
        return Action.process if self._region in policies.permitted.terminate else Action.terminate

    def note_refused(self, policies: PolicySet) -> None:
        action = self._denied_action(policies)
        for rule in self.rules_against(policies, action, self._region) or (None,):
            self._metrics.denied(rule, action)

    async def may_yet_permit(self, caller: Caller, place: Place | None) -> bool:
        """Where the speaker is not known to be anywhere, a `start` may say where; else the answers that nobody gave are
        tried.
        """
        found, table = self.permitted(caller, NOTHING_STATED, place), self._in_force.table
        if isinstance(found, SessionRefused) or found.situation is None or table is None:
            return False
        if self.refusal_here(found, place) is None:
            return False
        if not found.situation.subject_countries:
            return True
        key = found.situation, caller.stated.for_policy, "" if place is None else place.country
        if (known := self._may_yet.get(key)) is not None:
            return known
        answer = await self._lets_some_start_in(table, caller, place)
        if len(self._may_yet) >= MAX_SITUATIONS:
            self._may_yet.clear()
        if table is self._in_force.table:
            self._may_yet[key] = answer
        return answer

    async def _lets_some_start_in(self, table: DecisionTable, caller: Caller, place: Place | None) -> bool:
        """Only one question is asked about most: whether the connection may end here."""
        bundle, num_tried = table.engine.bundle, 0
        row = bundle.projects.get(f"{caller.tenant}/{caller.project}")
        for request in what_a_start_may_say(caller.stated, row, table.engine):
            await asyncio.sleep(0)
            situation = self._situation(bundle, caller, request, place)
            if isinstance(situation, SessionRefused) or not self._may_end_here(table, situation):
                continue
            num_tried += 1
            if num_tried > _MOST_TRIED:
                return True
            await self.prepare(caller, request, place)
            other = self.permitted(caller, request, place)
            if isinstance(other, PolicySet) and self.refusal_here(other, place) is None:
                return True
        return False

    def _may_end_here(self, table: DecisionTable, situation: Situation) -> bool:
        """Asked of the engine: what may be said and was not takes no place in the table."""
        has_break_glass = bool(self._glass.covering(situation, Action.terminate, self._region))
        question = Question(situation, Action.terminate, self._region, has_break_glass=has_break_glass)
        return table.engine.decide(question).is_allowed

    def _useful_gateways(self, policies: PolicySet, place: Place | None) -> tuple[str, ...] | None:
        """Of other regions that may end the connection and from which something may recognise; None: there are none."""
        table, situation = self._in_force.table, policies.situation
        if table is None or situation is None:
            return None
        elsewhere = policies.permitted.terminate - {self._region}
        reachable = (policies.permitted.process | policies.permitted.failover) - {self._region}
        useful = set(elsewhere) if reachable else set()  # what a gateway here may reach, one elsewhere may, too
        for region in () if reachable else elsewhere:
            there = self._permitted(table, situation, region)
            if there.process or there.failover:
                useful.add(region)
        if not useful:
            return None
        specs = self.regions_for(policies, place)
        return tuple(gateway for spec in specs if spec.name in useful for gateway in spec.gateways)

    def rules_against(self, policies: PolicySet, action: Action, region: str) -> tuple[str, ...]:
        table, situation = self._in_force.table, policies.situation
        if table is None or situation is None:
            return ()
        found: set[str] = set()
        for capacity in sorted(ALL_CLASSES) if action in _RECOGNISING else (CapacityClass.reserved,):
            decision = table.decide(Question(situation, action, region, capacity))
            if decision.is_allowed:
                return ()
            found |= set(decision.rules)
        return tuple(sorted(found))

    def decision_on(
        self,
        policies: PolicySet,
        action: Action,
        region: str,
        *,
        capacity: CapacityClass = CapacityClass.reserved,
        trigger: Trigger = Trigger.initial,
    ) -> Decision | None:
        table, situation = self._in_force.table, policies.situation
        if table is None or situation is None:
            return None
        has_break_glass = bool(self._glass.covering(situation, action, region))
        return table.decide(Question(situation, action, region, capacity, trigger, has_break_glass=has_break_glass))

    def leaves_at_once(self, policies: PolicySet) -> frozenset[str]:
        table, situation = self._in_force.table, policies.situation
        if table is None or situation is None:
            return frozenset()
        rules = table.engine.bundle.rules
        permitted = policies.permitted
        fenced = {Action.terminate: permitted.terminate, Action.process: permitted.process | permitted.failover}
        return frozenset(
            region
            for action, regions in fenced.items()
            for region in self._regions(table) - regions
            if any(rules[rule].ends_at_once for rule in self.rules_against(policies, action, region) if rule in rules)
        )


def _unknown(detail: str) -> SessionRefused:
    return SessionRefused(Reason.residency_unknown_profile, detail)


def _by(rules: tuple[str, ...]) -> str:
    if not rules:
        return "no rule permits it"
    return f"by rule {rules[0]}" if len(rules) == 1 else f"by rules {', '.join(rules)}"
