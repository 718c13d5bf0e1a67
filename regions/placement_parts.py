"""What all sessions of a gateway share when they are placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies import routing

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.replacement_pace import ReplacementPace
    from policies.retry_budget import RetryBudget
    from policies.routing_facts import RouteDecision, RouteRequest
    from regions.facts import Facts
    from regions.placement_metrics import PlacementMetrics
    from regions.placement_rules import PlacementRules


@dataclass(frozen=True, slots=True)
class PlacementParts:
    """One set a gateway."""

    facts: Facts
    rules: PlacementRules
    retries: RetryBudget
    pace: ReplacementPace
    metrics: PlacementMetrics
    now_ms: Callable[[], int]

    def decide(self, request: RouteRequest) -> RouteDecision:
        """On what is known at this moment."""
        return routing.decide(request, self.facts.snapshot, self.rules.weights)
