"""Who belongs to the pools of a gateway, and how often a second replica had to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class PoolMetrics:
    """One for all pools of a process; they differ by their region."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown: dict[str, object] = {}
        self._members = Gauge(
            "patchbay_pool_members", "Engines, or relays of a region, that are dialled.", ["region"], registry=registry
        )
        self._connected = Gauge(
            "patchbay_pool_members_connected", "Those of them that answer.", ["region"], registry=registry
        )
        self.retries = Counter(
            "patchbay_pool_open_retries_total",
            "Streams that one replica would not take and another was asked for.",
            ["region"],
            registry=registry,
        )

    def watch(self, region: str, *, members: Callable[[], int], connected: Callable[[], int]) -> Callable[[], None]:
        """Show a pool until what is returned is called; the later of two pools of one region is shown."""
        mine = self._shown[region] = object()
        self._members.labels(region).set_function(members)
        self._connected.labels(region).set_function(connected)
        self.retries.labels(region)

        def forget() -> None:
            if self._shown.get(region) is mine:
                del self._shown[region]
                self._members.remove(region)
                self._connected.remove(region)

        return forget
