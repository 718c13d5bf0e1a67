"""The relay of one gateway, from its settings: what it serves to peers, and what of this region's policy it asks.

These must stay true:
  - Where the settings say whose placement grants are good, nothing is passed on that the guard does not admit.
  - Of a session of another region nothing is kept that this region's own policy does not let it keep.
  - Whatever changes this region's policy, its bundle, a date, the catalog or an emergency permission, is told to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.residency.granting import policy_of_region, relay_guard
from gateway.resumption.region_service import RegionService
from regions.own_status import OwnStatus
from regions.relay.metrics import RelayMetrics
from regions.relay.server import RelayServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry

    from gateway.operations.glass_book import GlassBook
    from gateway.residency.building import Residency
    from gateway.resumption.points import StoredCommitPoints
    from gateway.settings import GatewaySettings
    from regions.catalog_file import CatalogFile
    from regions.facts import Facts
    from regions.links.certificates import Certificates

log = structlog.get_logger("relay")


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """Who decides in this region, and what its decisions follow. `file`: of the catalog."""

    decides: Residency
    glass: GlassBook
    file: CatalogFile | None


def peers_relay(
    settings: GatewaySettings,
    facts: Facts,
    points: StoredCommitPoints,
    policy: OwnPolicy,
    certificates: Certificates,
    *,
    registry: CollectorRegistry,
    close_left: Callable[[str, str], Awaitable[None]],
) -> RelayServer | None:
    """None: the settings name no relay. `points` keeps copies for peers; `close_left`: see RegionService."""
    regions, here = settings.regions, settings.region
    if regions is None or regions.relay is None:
        return None
    rules = regions.placement.rules()
    relay = RelayServer(
        regions.relay,
        pool=facts.local,
        certificates=certificates,
        status=OwnStatus(facts, rules.headroom, rules.classes),
        is_peer=lambda name: name != here and name in facts.catalog.regions,
        metrics=RelayMetrics(registry),
        handlers=(RegionService(points, close_left=close_left).handler,),
    )
    _ask_own_policy(relay, settings, points, policy)
    return relay


def _ask_own_policy(
    relay: RelayServer, settings: GatewaySettings, points: StoredCommitPoints, policy: OwnPolicy
) -> None:
    decides = policy.decides
    ours = policy_of_region(settings.region, decides, policy.glass)
    points.may_keep = ours.may_keep
    guard = relay_guard(None if settings.residency is None else settings.residency.grants, ours)
    if guard is None:
        if settings.residency is not None:
            log.warning("relay.unguarded")
        return
    relay.guarded_by(guard)
    if policy.file is not None:
        policy.file.on_change(lambda _catalog: relay.policy_changed())
    if decides.in_force is not None:
        decides.in_force.on_change(relay.policy_changed)
        policy.glass.on_change(relay.policy_changed)
