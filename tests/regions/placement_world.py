"""Three regions of fakes under real placement: north is here, east is near, south is far."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from engines.interface import OpenStream, StreamOptions
from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.routing_facts import CapacityClass, RegionState
from regions.catalog import Catalog, Location, PoolSpec, RegionSpec
from regions.facts import Facts
from regions.placement import RegionalPlacement
from regions.placement_metrics import PlacementMetrics
from regions.placement_rules import PlacementRules
from regions.placing import SessionPlace
from tests.fakes.region_pool import FakeLink, FakeRegionPool, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.interface import StreamEvent
    from regions.placed_stream import PlacedStream
    from regions.session_pool import PlacedSession

EVERYWHERE = frozenset({"north", "east", "south"})
LOCATIONS = {"north": Location(50.0, 8.0), "east": Location(52.0, 21.0), "south": Location(-33.9, 18.4)}
RULES = PlacementRules(
    facts_every_ms=20, outside_policy_ms=30, move_within_ms=200, drain_spread_ms=0, hold_ms=100, retry_after_ms=500
)


def spec(name: str, *, state: RegionState = RegionState.active, is_edge: bool = False) -> RegionSpec:
    pools = () if is_edge else (PoolSpec("l4", CapacityClass.reserved, "l4", (("scripted", ""),)),)
    return RegionSpec(
        name=name,
        location=LOCATIONS.get(name, Location(0.0, 0.0)),
        country="DE",
        jurisdictions=frozenset({"eu"}),
        operator="us",
        gateways=(f"wss://{name}.example/v1/stream",),
        relays=(f"{name}.example:8085",),
        pools=pools,
        state=state,
    )


def catalog_of(*specs: RegionSpec) -> Catalog:
    return Catalog({one.name: one for one in specs}, "d1")


class World:
    """`now_ms` is set by the test; facts are looked at anew by `look`."""

    def __init__(self, rules: PlacementRules = RULES, *, catalog: Catalog | None = None) -> None:
        self.now_ms = 100_000
        self.catalog = catalog_of(*(spec(name) for name in LOCATIONS)) if catalog is None else catalog
        self.pools = {name: FakeRegionPool(FakeLink(f"{name}:1")) for name in ("north", *self.catalog.regions)}
        self.hear()
        self.facts = Facts(
            "north",
            catalog=self.catalog,
            local=self.pools["north"],
            dial=lambda region: self.pools.setdefault(region.name, FakeRegionPool(FakeLink(f"{region.name}:1"))),
            rules=rules,
            now_ms=lambda: self.now_ms,
        )
        self.registry = CollectorRegistry()
        self.metrics = PlacementMetrics(self.registry)
        self.placement = RegionalPlacement(self.facts, rules, self.metrics, now_ms=lambda: self.now_ms)
        self.metrics.watch(lambda: self.placement.snapshot)

    def hear(self, names: Iterable[str] | None = None) -> None:
        """Reports come from all, or from some."""
        for name in self.pools if names is None else names:
            pool = self.pools[name]
            pool.link.hear(self.now_ms)
            if name != "north" and pool.link.region is None:
                pool.link.region = status_of(name)

    def look(self, after_ms: int = 50) -> None:
        """Time passes, reports come, and facts are made anew."""
        self.now_ms += after_ms
        self.hear(name for name, pool in self.pools.items() if pool.link.load is not None)
        assert self.facts.look_again()

    def wants(self, name: str, state: RegionState) -> None:
        """The catalog is reloaded with another state of a region."""
        regions = dict(self.facts.catalog.regions)
        regions[name] = replace(regions[name], state=state)
        self.now_ms += 50
        self.facts.catalog_changed(Catalog(regions, "d2"))

    def session(
        self, permitted: frozenset[str] | Permitted = EVERYWHERE, *, tier: Tier = Tier.standard, draw: int = 0
    ) -> Caller:
        place = SessionPlace("s1", permitted_of(permitted), tier, draw)
        return Caller(self.placement.session(place))

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def permitted_of(regions: frozenset[str] | Permitted) -> Permitted:
    """A plain list of regions permits everything in each of them."""
    return regions if isinstance(regions, Permitted) else Permitted.everywhere_in(regions)


class Caller:
    """A session that opens streams and writes down what it hears, by epoch."""

    def __init__(self, pool: PlacedSession) -> None:
        self.pool = pool
        self.heard: dict[int, list[StreamEvent]] = {}
        self._epoch = 0

    def open(self, *, is_replay: bool = False, options: StreamOptions | None = None) -> PlacedStream:
        self._epoch += 1
        events = self.heard.setdefault(self._epoch, [])
        stream = OpenStream(
            session_id="s1",
            tenant="t",
            epoch=self._epoch,
            start_sample=0,
            options=options or StreamOptions(),
            is_replay=is_replay,
        )
        return self.pool.pool().open(stream, events.append)

    async def opened(self, *, is_replay: bool = False, options: StreamOptions | None = None) -> PlacedStream:
        """One that has its first answer."""
        stream = self.open(is_replay=is_replay, options=options)
        await turns()
        return stream

    @property
    def last(self) -> list[StreamEvent]:
        return self.heard[self._epoch]


async def turns(number: int = 12) -> None:
    """Let the loop turn: each try of a region takes a few."""
    for _ in range(number):
        await asyncio.sleep(0)
