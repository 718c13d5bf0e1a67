"""Which plans are in force in this gateway, and whether the file says something else that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class PlansMetrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reload_failed = Gauge(
            "patchbay_plans_reload_failed",
            "1 while the plans file cannot be used and earlier plans stay in force.",
            registry=registry,
        )
        self._in_force = Gauge(
            "patchbay_plans_in_force", "1, for the rating version in force.", ["rating_version"], registry=registry
        )

    def took(self, rating_version: str) -> None:
        """These plans are in force from here on."""
        self._in_force.clear()
        self._in_force.labels(rating_version).set(1)
        self.reload_failed.set(0)
