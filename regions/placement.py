"""Places the sessions of this gateway, in this region and in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies import routing
from policies.move_turns import MoveTurns
from policies.plans import Tier
from policies.replacement_pace import ReplacementPace
from policies.retry_budget import RetryBudget
from policies.routing_facts import RegionState, RouteRequest
from regions.placement_parts import PlacementParts
from regions.session_pool import PlacedSession
from regions.shedding import Shedding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import StreamOptions
    from policies.residency.permitted import Permitted
    from policies.routing_facts import CapacityClass, RegionSnapshot, RouteDecision
    from policies.unmet_demand import UnmetDemand
    from regions.facts import Facts
    from regions.placement_metrics import PlacementMetrics
    from regions.placement_rules import PlacementRules
    from regions.placing import SessionPlace
    from regions.region_watch import RegionWatch

_TIERS = tuple(Tier)


class RegionalPlacement:
    """A Placement (regions.placing). Hears of snapshots by itself; `facts` is run by its owner."""

    def __init__(
        self, facts: Facts, rules: PlacementRules, metrics: PlacementMetrics, *, now_ms: Callable[[], int]
    ) -> None:
        shedding = Shedding(rules, metrics, lambda: facts.snapshot)
        self._parts = PlacementParts(
            facts, rules, RetryBudget(rules.retries), ReplacementPace(rules.pace), metrics, now_ms, shedding
        )
        self._sessions: dict[PlacedSession, None] = {}
        self._turns: dict[RegionWatch, MoveTurns] = {}
        """Of regions that are left at a pace."""
        facts.watch(self._look_for_leaving)

    def session(self, place: SessionPlace) -> PlacedSession:
        placed = PlacedSession(place, self._parts, self._forget)
        self._sessions[placed] = None
        self._parts.shedding.begun(placed)
        return placed

    def decide(self, place: SessionPlace, options: StreamOptions) -> RouteDecision:
        return self._parts.decide(_request(place.permitted, place.tier, options, place.draw_permille))

    def explain(
        self, permitted: Permitted, tier: Tier, options: StreamOptions, snapshot: RegionSnapshot
    ) -> RouteDecision:
        """What would be decided about a new session if the facts were these; with the draw of nobody in particular."""
        return routing.decide(_request(permitted, tier, options), snapshot, self._parts.rules.weights)

    def classes_of(self, tier: Tier) -> tuple[CapacityClass, ...]:
        """Which machines a new session of the tier may have, in the order in which they are filled."""
        return self._parts.rules.classes.of(tier).order

    @property
    def snapshot(self) -> RegionSnapshot:
        return self._parts.facts.snapshot

    @property
    def unmet(self) -> UnmetDemand:
        """Sessions of this gateway that have no slot in this region."""
        return self._parts.unmet

    @property
    def is_ready(self) -> bool:
        """Whether an engine anywhere takes sessions; a region that is tripped is tried as a last resort."""
        return any(
            region.is_reachable and region.state is RegionState.active and region.slots_total > 0
            for region in self.snapshot.regions
        )

    @property
    def sessions(self) -> Sequence[PlacedSession]:
        """Those that are open."""
        return tuple(self._sessions)

    def _forget(self, session: PlacedSession) -> None:
        self._sessions.pop(session, None)
        self._parts.shedding.closed(session)

    def _look_for_leaving(self, _snapshot: RegionSnapshot) -> None:
        """Regions that drain, are disabled or left the catalog: their sessions move."""
        leaving = self._parts.facts.leaving()
        paced = {region for region in leaving if region.move_gap_ms}
        self._turns = {region: self._turns.get(region) or MoveTurns() for region in paced}
        at_once = leaving - paced
        if at_once:
            for session in list(self._sessions):
                session.leave(at_once)
        for region, turns in self._turns.items():
            self._leave_in_turn(region, turns)

    def _leave_in_turn(self, region: RegionWatch, turns: MoveTurns) -> None:
        """Higher tiers first, then who is here for longest. Who had nowhere to go waits behind those not yet asked."""
        waiting = [session for session in self._sessions if session.waits_to_leave(region)]
        waiting.sort(key=lambda session: (session.asked_to_leave, _TIERS.index(session.tier)))
        for session in waiting[: turns.due(self._parts.now_ms(), gap_ms=region.move_gap_ms, waiting=len(waiting))]:
            session.leave({region}, is_its_turn=True)


def _request(permitted: Permitted, tier: Tier, options: StreamOptions, draw_permille: int = 0) -> RouteRequest:
    return RouteRequest(
        permitted=permitted.process,
        tier=tier,
        model=options.model,
        model_version=options.model_version,
        language=options.language,
        draw_permille=draw_permille,
        classes=permitted.classes,
    )
