"""What the installation consists of: regions, edge sites and engine pools, as their operators wrote it down.

Plain values. `regions.catalog_file` reads, checks and reloads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.routing_facts import CapacityClass, RegionState


@dataclass(frozen=True, slots=True)
class Location:
    """WGS 84, degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Engines of one kind in one region. Engines say by themselves that they belong to it; how many there are is not
    written down.

    `models`: (name, version) pairs it is meant to serve; a version of "" means any. `cost_permille`: of a second of
    compute, against 1000 for the catalog's reference.
    """

    name: str
    capacity: CapacityClass
    accelerator: str
    models: tuple[tuple[str, str], ...]
    cost_permille: int = 1_000
    zone: str = ""


@dataclass(frozen=True, slots=True)
class RegionSpec:
    """One region, or an edge site: a region without pools.

    Attributes:
        country: ISO 3166-1 alpha-2.
        jurisdictions: names that policies speak of, such as `eu`, `eea`, `us`.
        operator: whose machines they are.
        gateways: where clients reach it: `wss://…/v1/stream`, `grpcs://…` and, of WebTransport, `https://…/v1/stream`
            addresses, best first.
        relays: `host:port` of its gateways' relays, for peers.
        state: what its operators want.
    """

    name: str
    location: Location
    country: str
    jurisdictions: frozenset[str]
    operator: str
    gateways: tuple[str, ...]
    relays: tuple[str, ...]
    pools: tuple[PoolSpec, ...] = ()
    state: RegionState | None = None
    """None: active."""

    @property
    def has_engines(self) -> bool:
        return bool(self.pools)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All of them, by name. `digest`: of the file it was read from, hexadecimal."""

    regions: Mapping[str, RegionSpec] = field(default_factory=dict)
    digest: str = ""
    cost_reference: str = ""
    """What a `cost_permille` of 1000 is, in its operators' words."""
