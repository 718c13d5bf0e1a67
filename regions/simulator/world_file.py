"""The regions of a simulation: the world that is shipped, or an operator's own catalog with demand beside it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field

from policies.distance import great_circle_km
from policies.routing_facts import RegionState
from regions.catalog_document import LocationTable
from regions.catalog_file import read_catalog
from regions.simulator.scenario import SimulatedRegion
from regions.watched_file import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EARTH = Path(__file__).parent / "worlds" / "earth.toml"
_HOURS_PER_DEGREE = 1 / 15


class WorldTable(BaseModel, frozen=True, extra="forbid"):
    """`[world]` of a scenario. Without a catalog it is the shipped world, or those of its regions that are named."""

    catalog: str = Field(default="", max_length=4_000, pattern=r"^[^\x00]*$")
    """A catalog of regions (docs/regions.md), beside the scenario's file or with its whole path."""
    regions: tuple[str, ...] = ()
    """Only these; empty: all."""
    demand: dict[str, float] = {}
    """How much each region is asked for, against the others. An own catalog's are 1 where nothing is said."""
    utc_offset_hours: dict[str, float] = {}
    """Of the callers' clocks; by the longitude where nothing is said and the catalog is an own one."""


class _EarthRegion(BaseModel, frozen=True, extra="forbid"):
    name: str
    country: str
    city: str
    location: LocationTable
    jurisdictions: tuple[str, ...]
    utc_offset_hours: float
    demand: float


class _Earth(BaseModel, frozen=True, extra="forbid"):
    regions: tuple[_EarthRegion, ...]


class World(NamedTuple):
    """`regions`: those that serve, in the order of their file. `known`: the names of all that stand there."""

    regions: tuple[SimulatedRegion, ...]
    known: frozenset[str]


def read_world(table: WorldTable, *, beside: Path) -> World:
    """Give the regions of a scenario.

    A region of a catalog without engines, or that its state keeps from serving, is left out, and its callers count to
    the nearest one that serves.

    Args:
        beside: the folder that a catalog's path begins at.

    Raises:
        FileRefused: every mistake.
    """
    serving, others = _of_catalog(beside / table.catalog) if table.catalog else (_of_earth(), [])
    known = frozenset(region.name for region in (*serving, *others))
    mistakes = [f"world.regions: {name} is no region of this world" for name in table.regions if name not in known]
    for key in ("demand", "utc_offset_hours"):
        given: Mapping[str, float] = getattr(table, key)
        low, high = (0.0, 1e6) if key == "demand" else (-12.0, 14.0)
        mistakes += [f"world.{key}: {name} is no region of this world" for name in given if name not in known]
        mistakes += [
            f"world.{key}.{name}: must be {low:g} to {high:g}"
            for name, value in given.items()
            if not low <= value <= high
        ]
    if not serving:
        mistakes.append("world.catalog: no active region has engines")
    elif table.regions and not any(region.name in table.regions for region in serving):
        mistakes.append("world.regions: none of them is active and has engines")
    if mistakes:
        raise FileRefused(mistakes)
    chosen = [_with(region, table) for region in serving if not table.regions or region.name in table.regions]
    weights = {region.name: region.weight for region in chosen}
    for region in (_with(other, table) for other in others):
        if not table.regions or region.name in table.regions:
            weights[nearest(region, chosen).name] += region.weight
    if not any(weights.values()):
        raise FileRefused(["world.demand: nobody calls: all of it is 0"])
    return World(tuple(replace(region, weight=weights[region.name]) for region in chosen), known)


def nearest(place: SimulatedRegion, regions: Iterable[SimulatedRegion]) -> SimulatedRegion:
    """Give the one that is closest by the great circle."""
    return min(regions, key=lambda region: (great_circle_km(place, region), region.name))


def _of_earth() -> list[SimulatedRegion]:
    earth = _Earth.model_validate(tomllib.loads(EARTH.read_text(encoding="utf-8")))
    return [
        SimulatedRegion(
            name=region.name,
            latitude=region.location.latitude,
            longitude=region.location.longitude,
            country=region.country,
            jurisdictions=frozenset(region.jurisdictions),
            weight=region.demand,
            utc_offset_hours=region.utc_offset_hours,
        )
        for region in earth.regions
    ]


def _of_catalog(path: Path) -> tuple[list[SimulatedRegion], list[SimulatedRegion]]:
    """Those that serve, and the others. Raises FileRefused."""
    try:
        catalog = read_catalog(path).catalog
    except FileRefused as refused:
        raise FileRefused([f"world.catalog: {mistake}" for mistake in refused.mistakes]) from None
    serving: list[SimulatedRegion] = []
    others: list[SimulatedRegion] = []
    for region in catalog.regions.values():
        is_serving = region.has_engines and region.state in (None, RegionState.active)
        (serving if is_serving else others).append(
            SimulatedRegion(
                name=region.name,
                latitude=region.location.latitude,
                longitude=region.location.longitude,
                country=region.country,
                jurisdictions=region.jurisdictions,
                utc_offset_hours=float(round(region.location.longitude * _HOURS_PER_DEGREE)),
            )
        )
    return serving, others


def _with(region: SimulatedRegion, table: WorldTable) -> SimulatedRegion:
    """The region, with what the scenario says of it."""
    return replace(
        region,
        weight=table.demand.get(region.name, region.weight),
        utc_offset_hours=table.utc_offset_hours.get(region.name, region.utc_offset_hours),
    )
