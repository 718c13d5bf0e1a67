"""Makes the discovery that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regions.discovery.dns_srv import DnsSrvNames
from regions.discovery.engine_file import EngineFile
from regions.discovery.redis_registry import RedisRegistry
from regions.discovery.settings import DnsSrvDiscovery, FileDiscovery, RedisDiscovery

if TYPE_CHECKING:
    from regions.discovery.interface import Discovery
    from regions.discovery.metrics import DiscoveryMetrics
    from regions.discovery.settings import DiscoverySettings


def discovery_of(settings: DiscoverySettings, *, region: str, metrics: DiscoveryMetrics) -> Discovery:
    """Nothing is asked before it runs. `region`: of this gateway.

    Raises:
        FileRefused: a file of engines cannot be used.
    """
    match settings:
        case RedisDiscovery():
            return RedisRegistry(settings, region=region, metrics=metrics)
        case DnsSrvDiscovery():
            return DnsSrvNames(settings, metrics=metrics)
        case FileDiscovery():
            return EngineFile(settings, metrics=metrics)
