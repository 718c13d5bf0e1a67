"""Emergency permissions in figures: an alarm belongs on the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class GlassMetrics:
    """One a gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "patchbay_break_glass_open", "Emergency permissions that cover something now.", registry=registry
        )
        self._used = Counter(
            "patchbay_break_glass_used",
            "Times that something was done under an emergency permission, by action.",
            ["action"],
            registry=registry,
        )
        self.is_store_away = Gauge(
            "patchbay_break_glass_store_away",
            "1 while the region's emergency permissions cannot be read from Redis.",
            registry=registry,
        )

    def watch(self, opened: Callable[[], int]) -> None:
        self._open.set_function(lambda: float(opened()))

    def used(self, action: str) -> None:
        self._used.labels(action).inc()
