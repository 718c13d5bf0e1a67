"""Placement grants of one gateway, from its settings: what signs them, and what its relay asks about those of peers.

A relay asks its own region's policy: the bundle in force here where there is one, else the lists of its settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import SessionRefused
from gateway.residency.break_glass_union import NoGlass
from gateway.residency.grants import GrantIssuer, load_grant_key
from policies.facts import Caller
from policies.residency.decision import Question
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.policy_sets import PolicySets
    from gateway.residency.break_glass_union import Glass
    from gateway.residency.building import Residency
    from gateway.residency.grant_settings import GrantSettings
    from policies.residency.grant import PlacementGrant
    from policies.residency.table import DecisionTable
    from regions.relay.guard import RelayGuard

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
    in_force = decides.in_force
    if in_force is None:
        return ListPolicy(region, decides.policies)
    return TablePolicy(region, lambda: in_force.table, glass)


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """By the bundle in force here.

    Attributes:
        table: its decisions of now; None: there is none, and nothing is permitted.
        glass: emergency permissions that are open in this region; those of others do not count.
    """

    region: str
    table: Callable[[], DecisionTable | None]
    glass: Glass = _NO_GLASS

    def permitted_here(self, grant: PlacementGrant, goes_on: bool) -> frozenset[CapacityClass]:
        table = self.table()
        if table is None or not table.decide(self._question(grant, Action.relay)).is_allowed:
            return _NONE
        action = Action.failover if goes_on else Action.process
        return frozenset(each for each in CapacityClass if table.decide(self._question(grant, action, each)).is_allowed)

    def leaves_at_once(self, grant: PlacementGrant) -> bool:
        """Whether a rule forbids it that does not wait for a commit point."""
        table = self.table()
        if table is None:
            return False
        rules = table.engine.bundle.rules
        decisions = [table.decide(self._question(grant, each)) for each in (Action.relay, Action.process)]
        return any(
            rules[name].ends_at_once
            for decision in decisions
            if not decision.is_allowed
            for name in decision.rules
            if name in rules
        )

    def _question(
        self, grant: PlacementGrant, action: Action, capacity: CapacityClass = CapacityClass.reserved
    ) -> Question:
        trigger = Trigger.failover if action is Action.failover else Trigger.initial
        situation = grant.situation
        # A permission to recognise there is one to bring the audio there.
        covered = Action.process if action is Action.relay else action
        has_break_glass = bool(self.glass.covering(situation, covered, self.region))
        return Question(situation, action, self.region, capacity, trigger, has_break_glass=has_break_glass)


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """By the lists of regions in the settings here: a profile that this region does not know permits nothing."""

    region: str
    sets: PolicySets

    def permitted_here(self, grant: PlacementGrant, goes_on: bool) -> frozenset[CapacityClass]:
        caller = Caller(grant.tenant, "", "", "", frozenset(), grant.profile, grant.expires_at_s)
        found = self.sets.permitted(caller)
        if isinstance(found, SessionRefused):
            return _NONE
        permitted = found.permitted
        is_inside = self.region in permitted.recognising(goes_on=goes_on)
        return permitted.classes_in(self.region) if is_inside else _NONE

    def leaves_at_once(self, _grant: PlacementGrant) -> bool:
        return False
