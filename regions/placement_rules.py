"""The limits and weights that one gateway places by. Plain values; regions.placement_settings makes them."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.breaker import BreakerLimits
from policies.region_health import HealthLimits
from policies.replacement_pace import PaceLimits
from policies.retry_budget import RetryLimits
from policies.routing import RoutingWeights
from policies.shedding import SheddingLimits
from policies.slow_start import SlowStartLimits
from policies.spill import SpillLimits
from policies.tier_classes import TierClasses
from policies.tier_slots import TierHeadroom


@dataclass(frozen=True, slots=True)
class PlacementRules:
    """What is not of policies.* is this:

    Attributes:
        facts_every_ms: how often a snapshot is made anew, though nothing is known to have changed.
        probe_missed_after_ms: without an answer to a ping for so long, a probe was missed.
        avoided_ms: how long a session does without a region where it lost an engine.
        proven_after_ms: a stream that went on for so long without a final went well.
        hold_ms: how long the answer to a session that goes on after a loss may be held back until its turn comes. Less
            than sessions wait for an answer.
        retry_after_ms: advice to a session that found no region.
        outside_policy_ms: how long audio may go on to a region that left the session's policy set, while the session
            moves.
        move_within_ms: how long a session may take to move out of a region that drains.
        drain_spread_ms: over how long the sessions of such a region are told so.
        linger_ms: how long links to a region stay that left the catalog, while streams are open on them.
    """

    weights: RoutingWeights = field(default_factory=RoutingWeights)
    retries: RetryLimits = field(default_factory=RetryLimits)
    pace: PaceLimits = field(default_factory=PaceLimits)
    health: HealthLimits = field(default_factory=HealthLimits)
    breaker: BreakerLimits = field(default_factory=BreakerLimits)
    headroom: TierHeadroom = field(default_factory=TierHeadroom)
    classes: TierClasses = field(default_factory=TierClasses)
    spill: SpillLimits = field(default_factory=SpillLimits)
    slow_start: SlowStartLimits = field(default_factory=SlowStartLimits)
    shedding: SheddingLimits = field(default_factory=SheddingLimits)
    facts_every_ms: int = 200
    probe_missed_after_ms: int = 1_500
    avoided_ms: int = 10_000
    proven_after_ms: int = 5_000
    hold_ms: int = 1_000
    retry_after_ms: int = 500
    outside_policy_ms: int = 1_000
    move_within_ms: int = 15_000
    drain_spread_ms: int = 5_000
    linger_ms: int = 60_000
