"""Tells a listing on, but only when it changed, and says once that its source is away or back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from regions.discovery.interface import EngineAddress
    from regions.discovery.metrics import DiscoveryMetrics

log = structlog.get_logger("discovery")


class Teller:
    """Of one discovery. `kind`: as in the settings."""

    def __init__(self, kind: str, metrics: DiscoveryMetrics) -> None:
        self._kind = kind
        self._metrics = metrics
        self._told: tuple[EngineAddress, ...] | None = None
        self._is_away = False
        metrics.failing.labels(kind).set(0)

    def tell(self, listing: Iterable[EngineAddress], on_change: Callable[[tuple[EngineAddress, ...]], None]) -> None:
        """The source was read. Of two of one address the first counts."""
        if self._is_away:
            self._is_away = False
            self._metrics.failing.labels(self._kind).set(0)
            log.info("discovery.back", kind=self._kind)
        by_address: dict[str, EngineAddress] = {}
        for engine in listing:
            by_address.setdefault(engine.address, engine)
        found = tuple(by_address[address] for address in sorted(by_address))
        if found == self._told:
            return
        before = {engine.address for engine in self._told or ()}
        self._told = found
        self._metrics.engines.labels(self._kind).set(len(found))
        log.info(
            "discovery.changed",
            kind=self._kind,
            engines=len(found),
            added=len(by_address.keys() - before),
            removed=len(before - by_address.keys()),
        )
        on_change(found)

    def failed(self, error: str) -> None:
        """It could not be read: what is known stays."""
        self._metrics.failing.labels(self._kind).set(1)
        if not self._is_away:
            self._is_away = True
            log.warning("discovery.away", kind=self._kind, error=error)
