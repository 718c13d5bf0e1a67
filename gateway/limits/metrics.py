"""What operators watch of the limits. Names of sessions, orgs and keys are never labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from gateway.limits.calls import RefusedFor
from gateway.redis_link.errors import AwayReason
from policies.plans import Level

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_CALL_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class LimiterMetrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter("patchbay_limiter_calls_total", "Calls of the limiter to Redis.", registry=registry)
        self.call_elapsed = Histogram(
            "patchbay_limiter_call_seconds", "From a call to its answer.", buckets=_CALL_S, registry=registry
        )
        self.requests = Counter(
            "patchbay_limiter_requests_total", "What was asked for; many in a call.", ["kind"], registry=registry
        )
        self.refusals = Counter(
            "patchbay_limiter_refusals_total",
            "Sessions refused by a limit of their plan.",
            ["limit", "level"],
            registry=registry,
        )
        self.shadow_refusals = Counter(
            "patchbay_limiter_shadow_refusals_total",
            "What a level in shadow mode would have refused.",
            ["limit", "level"],
            registry=registry,
        )
        self.is_away = Gauge("patchbay_limiter_away", "1 while Redis cannot be asked.", registry=registry)
        self.away_seconds = Counter(
            "patchbay_limiter_away_seconds_total", "Time without Redis, counted when it is back.", registry=registry
        )
        self.failures = Counter(
            "patchbay_limiter_failures_total", "Calls that failed, by what was wrong.", ["reason"], registry=registry
        )
        self.admitted_away = Counter(
            "patchbay_limiter_admitted_away_total",
            "Sessions admitted without Redis, by the plan's mode.",
            ["mode"],
            registry=registry,
        )
        self.restored = Counter(
            "patchbay_limiter_restored_total", "Tabs made anew in Redis from the journal.", registry=registry
        )
        self.rerecorded = Counter(
            "patchbay_limiter_rerecorded_total",
            "Events given to Redis again after it may have lost them.",
            registry=registry,
        )
        self.resyncs = Counter("patchbay_limiter_resyncs_total", "Times that this was begun.", registry=registry)
        self.swept = Counter(
            "patchbay_limiter_swept_total", "Tabs closed that another gateway left behind.", registry=registry
        )
        self.journal_failures = Counter(
            "patchbay_limiter_journal_failures_total",
            "Times that usage went to Redis before it was on the disk, which did not do its work.",
            registry=registry,
        )
        self.tabs = Gauge("patchbay_limiter_tabs", "Sessions with a tab, ended ones included.", registry=registry)
        self.throttled = Gauge(
            "patchbay_limiter_throttled_sessions", "Sessions that wait for compute.", registry=registry
        )
        self.unsettled_slices = Gauge(
            "patchbay_limiter_unsettled_slices", "Pieces of usage that Redis has not settled yet.", registry=registry
        )
        for why in AwayReason:
            self.failures.labels(why.value)
        for limit in RefusedFor:
            for level in Level:
                self.refusals.labels(limit.value, level.value)
