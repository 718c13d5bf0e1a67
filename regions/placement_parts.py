"""What all sessions of a gateway share when they are placed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies import routing
from policies.routing_facts import RuledOut
from policies.unmet_demand import UnmetDemand

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.plans import Tier
    from policies.replacement_pace import ReplacementPace
    from policies.retry_budget import RetryBudget
    from policies.routing_facts import Candidate, RouteDecision, RouteRequest
    from regions.facts import Facts
    from regions.placement_metrics import PlacementMetrics
    from regions.placement_rules import PlacementRules
    from regions.shedding import Shedding


_WITHOUT_SLOT = (RuledOut.no_free_slot, RuledOut.unreachable)


@dataclass(frozen=True, slots=True)
class PlacementParts:
    """One set a gateway."""

    facts: Facts
    rules: PlacementRules
    retries: RetryBudget
    pace: ReplacementPace
    metrics: PlacementMetrics
    now_ms: Callable[[], int]
    shedding: Shedding
    unmet: UnmetDemand = field(default_factory=UnmetDemand)
    """Sessions that have no slot in this region."""

    def decide(self, request: RouteRequest) -> RouteDecision:
        """On what is known at this moment."""
        return routing.decide(request, self.facts.snapshot, self.rules.weights)

    def note_decision(self, session_id: str, tier: Tier, model: str, decision: RouteDecision) -> None:
        """Somebody may find no slot in this region, and is served elsewhere or not at all. A region without an engine
        has none either: nothing else would tell an autoscaler that somebody wants the first.
        """
        here = self.facts.here
        if decision.ruled_out.get(here) in _WITHOUT_SLOT or self._spills(here, tier, decision):
            self.unmet.wanted(session_id, model)
        if not decision.candidates:
            self._note_forbidden(tier, decision)

    def _note_forbidden(self, tier: Tier, decision: RouteDecision) -> None:
        """Somebody finds nothing, although there is room where his policy forbids it: operators should see why."""
        for region in self.facts.snapshot.regions:
            is_forbidden = decision.ruled_out.get(region.name) is RuledOut.outside_policy
            if is_forbidden and region.is_reachable and region.free_slots_of_tier.get(tier.value, 0) > 0:
                self.metrics.forbidden(region.name)

    def _spills(self, here: str, tier: Tier, decision: RouteDecision) -> bool:
        """Whether it goes elsewhere although it would be best off here, were there room. Without these sessions the
        demand on a region that spills would never seem to exceed what it has.
        """
        best = min(decision.candidates, key=_score_with_room, default=None)
        if best is None or best.region != here or decision.chosen == here:
            return False
        facts = next((region for region in self.facts.snapshot.regions if region.name == here), None)
        return facts is not None and tier.value in facts.spilling_tiers


def _score_with_room(candidate: Candidate) -> float:
    return candidate.score - candidate.parts.get("queueing", 0.0)
