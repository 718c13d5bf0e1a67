"""Engines that stand in a registry in Redis (engines.registration)."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from engines.registration.lease import EngineLease, LeaseNames
from engines.registration.registry import EngineRegistry, RegistryAway
from regions.discovery.interface import EngineAddress
from regions.discovery.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from regions.discovery.metrics import DiscoveryMetrics
    from regions.discovery.settings import RedisDiscovery


class RedisRegistry:
    """A Discovery. `region`: the gateway's own, where the settings name none."""

    keeps_connected = True

    def __init__(self, settings: RedisDiscovery, *, region: str, metrics: DiscoveryMetrics) -> None:
        self._settings = settings
        self._names = LeaseNames(settings.prefix, settings.region or region)
        self._teller = Teller(settings.kind, metrics)

    async def run(self, on_change: Callable[[tuple[EngineAddress, ...]], None]) -> None:
        settings = self._settings
        registry = EngineRegistry(
            settings.url.get_secret_value(), self._names, call_timeout_ms=settings.call_timeout_ms
        )
        known: tuple[EngineLease, ...] = ()
        version = ""
        try:
            while True:
                try:
                    listing = await registry.read(version)
                except RegistryAway as error:
                    self._teller.failed(str(error))
                else:
                    version = listing.version
                    known = known if listing.leases is None else listing.leases
                    self._teller.tell(engines_of(known), on_change)
                await asyncio.sleep(settings.poll_ms * random.uniform(0.9, 1.1) / 1_000)
        finally:
            await asyncio.shield(registry.aclose())


def engines_of(leases: Iterable[EngineLease]) -> list[EngineAddress]:
    """Of two leases of one address that of the later process comes first: the other one died there."""
    in_order = sorted(leases, key=lambda lease: (-lease.started_at_unix_ms, lease.instance))
    return [
        EngineAddress(
            address=lease.address,
            pool=lease.pool,
            capacity=lease.capacity,
            zone=lease.zone,
            accelerator=lease.accelerator,
            is_draining=lease.is_draining,
            instance=lease.instance,
        )
        for lease in in_order
    ]
