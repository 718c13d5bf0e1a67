"""What all sessions of a gateway share when they are placed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies import routing
from policies.routing_facts import RuledOut
from policies.unmet_demand import UnmetDemand

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.replacement_pace import ReplacementPace
    from policies.retry_budget import RetryBudget
    from policies.routing_facts import RouteDecision, RouteRequest
    from regions.facts import Facts
    from regions.placement_metrics import PlacementMetrics
    from regions.placement_rules import PlacementRules
    from regions.shedding import Shedding


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

    def note_decision(self, session_id: str, model: str, decision: RouteDecision) -> None:
        """Somebody may find no slot in this region, and is served elsewhere or not at all."""
        if decision.ruled_out.get(self.facts.here) is RuledOut.no_free_slot:
            self.unmet.wanted(session_id, model)
