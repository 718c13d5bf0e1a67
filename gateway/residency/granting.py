"""Placement grants of one gateway, from its settings: what signs them, and what its relay asks about those of peers.

A relay asks its own region's policy: the bundle in force here where there is one, else the lists of its settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission.policy_sets import CatalogPolicySets
from gateway.errors import SessionRefused
from gateway.residency.break_glass_union import NoGlass
from gateway.residency.grants import GrantIssuer, load_grant_key
from policies.facts import Caller
from policies.residency.deciding.table import MOVES
from policies.residency.decision import Question
from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.policy_sets import PolicySets
    from gateway.residency.break_glass_union import Glass
    from gateway.residency.building import Residency
    from gateway.residency.grant_settings import GrantSettings
    from policies.residency.deciding.table import DecisionTable
    from policies.residency.decision import Situation
    from policies.residency.grant import PlacementGrant
    from regions.relay.guard import RelayGuard

_BEGINS = (Trigger.initial,)
_NO_GLASS = NoGlass()
_NONE: frozenset[CapacityClass] = frozenset()


def grant_issuer(settings: GrantSettings | None, *, region: str, now_s: Callable[[], float]) -> GrantIssuer | None:
    """None: sessions carry no grants. Raises GrantKeyUnusable."""
    if settings is None:
        return None
    key = load_grant_key(settings.key_file)
    return GrantIssuer(key, region=region, lifetime_s=settings.lifetime_s, now_s=now_s)


def relay_guard(settings: GrantSettings | None, policy: TablePolicy | ListPolicy) -> RelayGuard | None:
    """None: whatever peers open is passed on."""
    if settings is None or settings.keys_directory is None:
        return None
    from engines.server.grants import GrantChecker
    from regions.relay.guard import RelayGuard

    checker = GrantChecker(settings.keys_directory, region=policy.region, is_relay=True)
    return RelayGuard(checker, policy.permitted_here, policy.leaves_at_once)


def policy_of_region(region: str, decides: Residency, glass: Glass) -> TablePolicy | ListPolicy:
    """By whatever decides about the callers of this region."""
    in_force, policies = decides.in_force, decides.policies
    if in_force is None or isinstance(policies, CatalogPolicySets):
        return ListPolicy(region, policies)
    return TablePolicy(region, lambda: in_force.table, glass, lambda: policies.agrees_on(region))


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """By the bundle in force here.

    Attributes:
        table: its decisions of now; None: there is none, and nothing is permitted.
        glass: emergency permissions that are open in this region; those of others do not count.
        is_agreed: whether the catalog says of this region what the bundle says; else nothing is permitted in it.
    """

    region: str
    table: Callable[[], DecisionTable | None]
    glass: Glass = _NO_GLASS
    is_agreed: Callable[[], bool] = lambda: True

    def permitted_here(self, grant: PlacementGrant, goes_on: bool) -> frozenset[CapacityClass]:
        """As the set of a gateway elsewhere would have it: what goes on does so whatever makes it move."""
        table = self.table()
        if table is None or not self.is_agreed():
            return _NONE
        action, triggers = (Action.failover, MOVES) if goes_on else (Action.process, _BEGINS)
        if not all(table.decide(self._question(grant, Action.relay, trigger)).is_allowed for trigger in triggers):
            return _NONE
        return frozenset(
            capacity
            for capacity in CapacityClass
            if all(table.decide(self._question(grant, action, each, capacity)).is_allowed for each in triggers)
        )

    def may_keep(self, situation: Situation | None) -> bool:
        """Where a session of another region stands; of one whose situation is not told nothing is kept."""
        table = self.table()
        if table is None or situation is None or not self.is_agreed():
            return False
        action = Action.store_checkpoint
        has_break_glass = bool(self.glass.covering(situation, action, self.region))
        return table.decide(Question(situation, action, self.region, has_break_glass=has_break_glass)).is_allowed

    def leaves_at_once(self, grant: PlacementGrant) -> bool:
        """Whether a rule forbids it that does not wait for a commit point."""
        table = self.table()
        if table is None:
            return False
        rules = table.engine.bundle.rules
        questions = [self._question(grant, Action.process, Trigger.initial)]
        questions += [self._question(grant, Action.relay, trigger) for trigger in Trigger]
        questions += [self._question(grant, Action.failover, trigger) for trigger in MOVES]
        decisions = [table.decide(question) for question in questions]
        return any(
            rules[name].ends_at_once
            for decision in decisions
            if not decision.is_allowed
            for name in decision.rules
            if name in rules
        )

    def _question(
        self,
        grant: PlacementGrant,
        action: Action,
        trigger: Trigger,
        capacity: CapacityClass = CapacityClass.reserved,
    ) -> Question:
        situation = grant.situation
        # A permission to recognise there is one to bring the audio there.
        recognising = Action.process if trigger is Trigger.initial else Action.failover
        covered = recognising if action is Action.relay else action
        has_break_glass = bool(self.glass.covering(situation, covered, self.region))
        return Question(situation, action, self.region, capacity, trigger, has_break_glass=has_break_glass)


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """By the lists of regions in the settings here: a profile that this region does not know permits nothing."""

    region: str
    sets: PolicySets

    def permitted_here(self, grant: PlacementGrant, goes_on: bool) -> frozenset[CapacityClass]:
        permitted = self._permitted(grant.profile)
        is_inside = self.region in permitted.recognising(goes_on=goes_on)
        return permitted.classes_in(self.region) if is_inside else _NONE

    def may_keep(self, situation: Situation | None) -> bool:
        """An older gateway tells no situation; it looked at lists of its own."""
        return situation is None or self.region in self._permitted(situation.profile).checkpoint

    def leaves_at_once(self, _grant: PlacementGrant) -> bool:
        return False

    def _permitted(self, profile: str) -> Permitted:
        found = self.sets.permitted(Caller("", "", "", "", frozenset(), profile, 0))
        return Permitted() if isinstance(found, SessionRefused) else found.permitted
