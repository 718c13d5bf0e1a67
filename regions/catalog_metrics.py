"""Which catalog is in force in this process, and whether the file says something else that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class CatalogMetrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reload_failed = Gauge(
            "patchbay_catalog_reload_failed",
            "1 while the catalog cannot be used and an earlier one stays in force.",
            registry=registry,
        )
        self._in_force = Gauge(
            "patchbay_catalog_in_force", "1, for the catalog in force.", ["digest"], registry=registry
        )

    def took(self, digest: str) -> None:
        """This catalog is in force from here on."""
        self._in_force.clear()
        self._in_force.labels(digest).set(1)
        self.reload_failed.set(0)
