"""Whether the listing of engines can be read, and how many stand in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class DiscoveryMetrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failing = Gauge(
            "patchbay_discovery_failing",
            "1 while the listing of engines cannot be read and what was known stays.",
            ["kind"],
            registry=registry,
        )
        self.engines = Gauge(
            "patchbay_discovery_engines", "Engines in the listing that was read last.", ["kind"], registry=registry
        )
