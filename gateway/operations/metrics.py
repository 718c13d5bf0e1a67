"""What operators do, in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class OperationsMetrics:
    """One a gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._acts = Counter(
            "patchbay_operations",
            "Acts of operators that came to this gateway, by what became of them.",
            ["act", "outcome"],
            registry=registry,
        )
        self._waiting = Gauge(
            "patchbay_audit_events_waiting",
            "Audit events that are in this gateway's file and not in Redis yet.",
            registry=registry,
        )

    def acted(self, act: str, outcome: str) -> None:
        self._acts.labels(act, outcome).inc()

    def watch(self, waiting: Callable[[], int]) -> None:
        self._waiting.set_function(lambda: float(waiting()))
