"""Resumption of one gateway, from its settings: its tokens' keys, where its commit points go, who has copies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.resumption.metrics import ResumptionMetrics
from gateway.resumption.points import StoredCommitPoints
from gateway.resumption.resumption import Resumption
from gateway.resumption.token_keys import ResumptionRefused, load_token_keys
from gateway.settings import SettingsRefused

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from gateway.redis_link.client import RedisLink
    from gateway.resumption.peers import PeerRegions
    from gateway.resumption.token_keys import TokenKeys
    from gateway.settings import GatewaySettings
    from regions.catalog import Catalog
    from regions.links.certificates import Certificates


def token_keys_of(settings: GatewaySettings) -> TokenKeys:
    """Raises SettingsRefused: the keys cannot be used."""
    try:
        return load_token_keys(settings.resumption)
    except ResumptionRefused as refused:
        raise SettingsRefused(refused.mistakes) from None


class ResumptionBuilding:
    """Args:
    catalog: gives the one in force.
    certificates: shown to other regions; None: no other region keeps copies.
    stack: ends what is made, in the order in which it needs each other.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        registry: CollectorRegistry,
        stack: contextlib.AsyncExitStack,
        *,
        catalog: Callable[[], Catalog],
        certificates: Certificates | None,
    ) -> None:
        self._settings = settings
        self._metrics = ResumptionMetrics(registry)
        self._stack = stack
        self._catalog = catalog
        self._certificates = certificates

    def build(self, keys: TokenKeys, link: RedisLink | None) -> tuple[Resumption, StoredCommitPoints]:
        """The points are to be run. `link`: must be open until `stack` has written them; None: there is no Redis."""
        settings = self._settings
        points = StoredCommitPoints(
            settings.resumption, link, self._metrics, region=settings.region, peers=self._peers()
        )
        self._stack.push_async_callback(points.flush)
        return Resumption(settings.resumption, keys, points, region=settings.region, now_s=time.time), points

    def _peers(self) -> PeerRegions | None:
        if self._certificates is None:
            return None
        from gateway.resumption.peers import PeerRegions
        from regions.links.peer_channels import PeerChannels

        settings = self._settings
        channels = PeerChannels(settings.region, self._catalog, self._certificates)
        self._stack.push_async_callback(channels.close)
        return PeerRegions(
            channels.nearest_first,
            self._metrics,
            region=settings.region,
            copies=settings.resumption.copies,
            claim_timeout_ms=settings.resumption.claim_timeout_ms,
        )
