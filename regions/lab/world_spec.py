"""What runs in a lab, as a drill file says it, and the names by which faults find it. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from regions.lab.conditions import Conditions

REGION_NAMES = ("west", "central", "east", "north", "south", "coast", "island", "valley")
ZONE_NAMES = ("a", "b", "c", "d")
CAPACITIES = ("reserved", "spot")


class NetworkSpec(BaseModel, frozen=True, extra="forbid"):
    """The links at the start: between two regions, a gateway and an engine, a client and a gateway."""

    region: Conditions = Conditions(delay_ms=20)
    engine: Conditions = Conditions()
    client: Conditions = Conditions()


class ResidencySpec(BaseModel, frozen=True, extra="forbid"):
    """Policy is a signed bundle, and not lists of regions: a profile of it for each of `profiles`, and `everywhere`.
    Engines and relays want placement grants, and gateways write their decisions down.
    """

    expires_in_s: float = Field(default=86_400.0, gt=0, le=31_536_000)
    """Of the first bundle, from the world's start."""
    check_interval_ms: int = Field(default=200, ge=50, le=60_000)
    """How often gateways look whether there is another one."""


class WorldSpec(BaseModel, frozen=True, extra="forbid"):
    """What runs."""

    regions: int = Field(default=1, ge=1, le=len(REGION_NAMES))
    gateways: int = Field(default=1, ge=1, le=8)
    """Of each region."""
    reserved: int = Field(default=1, ge=0, le=64)
    spot: int = Field(default=0, ge=0, le=64)
    """Engines of each region, by capacity class."""
    zones: int = Field(default=1, ge=1, le=len(ZONE_NAMES))
    """The engines of each class are spread evenly over so many zones of their region."""
    slots: int = Field(default=16, ge=1, le=1_000)
    """Streams at once of each engine."""
    engine: Literal["scripted", "embedded"] = "scripted"
    heartbeat_interval_ms: int = Field(default=500, ge=20, le=10_000)
    """Of the engines' load reports."""
    has_settable_clocks: bool = False
    """Start engines and gateways under libfaketime, so that `step_clock` can move their wall clocks."""
    has_tiers: bool = False
    """Callers may have a tier; without one they are standard."""
    has_quota: bool = False
    """Callers may have a quota of their own, which is used up while they speak; steps of engines cost more then."""
    webtransport: bool = False
    """Each gateway serves it too, behind a link for UDP, with a certificate of the lab's own."""
    redis_replica: bool = False
    """Each region's Redis has a replica, and a link before it, so that `fail_over` can change the one for the other."""
    network: NetworkSpec = NetworkSpec()
    profiles: dict[str, tuple[str, ...]] = {}
    """Policy sets: names of regions. Callers without one may be served everywhere."""
    residency: ResidencySpec | None = None
    settings: dict[str, Any] = {}
    """Of every gateway, over the lab's own: `"sessions__liveness_ms" = 1000`."""

    @property
    def region_names(self) -> tuple[str, ...]:
        return REGION_NAMES[: self.regions]

    @property
    def zone_names(self) -> tuple[str, ...]:
        return ZONE_NAMES[: self.zones]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = []
        if self.residency is not None and (self.regions == 1 or self.engine != "scripted"):
            mistakes.append("residency is for worlds of several regions with scripted engines")
        if self.has_quota and self.engine != "scripted":
            mistakes.append("has_quota is for worlds with scripted engines")
        if self.reserved + self.spot == 0:
            mistakes.append("reserved and spot cannot both be 0: nobody would recognise")
        for profile, names in self.profiles.items():
            unknown = sorted(set(names) - set(self.region_names))
            if unknown or not names:
                mistakes.append(f"profiles.{profile} names no region of this world: {', '.join(unknown) or 'empty'}")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


def engines_of(world: WorldSpec) -> list[str]:
    """The engines of each region, by their names within it."""
    return [f"{kind}-{n}" for kind in CAPACITIES for n in range(1, getattr(world, kind) + 1)]


def zone_of(world: WorldSpec, engine: str) -> str:
    """Where an engine stands, by its name within its region: those of one class take turns."""
    number = int(engine.rpartition("-")[2])
    return world.zone_names[(number - 1) % world.zones]


def engines_in_zone(world: WorldSpec, zone: str) -> list[str]:
    """The full names of the engines of `zone/west/a`."""
    _, region, name = zone.split("/")
    return [f"engine/{region}/{engine}" for engine in engines_of(world) if zone_of(world, engine) == name]


def zones_of(world: WorldSpec) -> list[str]:
    """By their full names; a world with one zone has none to name."""
    if world.zones == 1:
        return []
    return [f"zone/{region}/{zone}" for region in world.region_names for zone in world.zone_names]


def pools_of(world: WorldSpec) -> list[str]:
    """By their full names: the engines of one class in one region."""
    return [f"pool/{region}/{kind}" for region in world.region_names for kind in CAPACITIES if getattr(world, kind)]


def edges_of(world: WorldSpec, region: str) -> list[str]:
    """By their full names: all edge processes of one gateway."""
    return [f"edge/{region}/{number}" for number in range(1, world.gateways + 1)] if world.webtransport else []


def targets_of(world: WorldSpec) -> list[str]:
    """Everything in a world that a fault can name."""
    names: list[str] = [*zones_of(world), *pools_of(world)]
    for region in world.region_names:
        names += [f"region/{region}", f"redis/{region}"]
        if world.redis_replica:
            names += [f"redis/{region}/replica", f"link/redis/{region}"]
        names += [f"gateway/{region}/{number}" for number in range(1, world.gateways + 1)]
        names += [f"link/client/{region}/{number}" for number in range(1, world.gateways + 1)]
        names += edges_of(world, region)
        if world.webtransport:
            names += [f"link/webtransport/{region}/{number}" for number in range(1, world.gateways + 1)]
        for engine in engines_of(world):
            names += [f"engine/{region}/{engine}", f"link/engine/{region}/{engine}"]
        names += [
            f"link/region/{region}/{other}/{number}"
            for other in world.region_names
            if other != region
            for number in range(1, world.gateways + 1)
        ]
    return names


def matching(pattern: str, names: list[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]
