"""The regions of a simulation: those that are shipped, and an operator's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regions.country_codes import COUNTRY_CODES
from regions.simulator.world_file import WorldTable, read_world
from regions.watched_file import FileRefused

pytestmark = pytest.mark.unit

HERE = Path(__file__).parent
REGION = """
[[regions]]
name = "{name}"
country = "IE"
location = {{ latitude = {latitude}, longitude = {longitude} }}
jurisdictions = ["eu"]
operator = "acme"
gateways = ["wss://{name}.example.com/v1/stream"]
"""
ENGINES = """
relays = ["relay.{name}.example.com:8085"]
pools = [{{ name = "l4", capacity = "reserved", models = [{{ name = "en" }}] }}]
"""


def region(name: str, latitude: float, longitude: float, more: str = ENGINES) -> str:
    return (REGION + more).format(name=name, latitude=latitude, longitude=longitude)


def mistakes_of(beside: Path = HERE, **table: Any) -> tuple[str, ...]:
    with pytest.raises(FileRefused) as refused:
        read_world(WorldTable(**table), beside=beside)
    return refused.value.mistakes


def test_the_shipped_world_is_fifty_places_in_real_countries_with_callers() -> None:
    regions = read_world(WorldTable(), beside=HERE).regions
    assert len({(region.latitude, region.longitude) for region in regions}) == 50
    assert all(region.country in COUNTRY_CODES and region.weight > 0 and region.jurisdictions for region in regions)
    assert all(abs(region.utc_offset_hours - region.longitude / 15) <= 2 for region in regions)


def test_regions_can_be_chosen_and_their_demand_and_clocks_said() -> None:
    table = WorldTable(regions=("jp-tokyo", "eu-west"), demand={"eu-west": 9.0}, utc_offset_hours={"eu-west": 1.0})
    first, second = read_world(table, beside=HERE).regions
    assert (first.name, first.weight, first.utc_offset_hours) == ("eu-west", 9.0, 1.0)
    assert (second.name, second.weight) == ("jp-tokyo", 4.8)


def test_regions_that_are_not_there_and_values_that_cannot_be_are_mistakes() -> None:
    told = mistakes_of(
        regions=("eu-wset",), demand={"x": 1.0, "eu-west": -1.0}, utc_offset_hours={"eu-west": float("nan")}
    )
    assert told == (
        "world.regions: eu-wset is no region of this world",
        "world.demand: x is no region of this world",
        "world.demand.eu-west: must be 0 to 1e+06",
        "world.utc_offset_hours.eu-west: must be -12 to 14",
        "world.regions: none of them is active and has engines",
    )
    assert mistakes_of(regions=("eu-west",), demand={"eu-west": 0.0}) == ("world.demand: nobody calls: all of it is 0",)


def test_a_catalog_is_a_world_and_callers_of_places_without_engines_count_to_the_nearest(tmp_path: Path) -> None:
    catalog = (
        region("west", 53.0, -6.0)
        + region("east", 35.7, 139.7)
        + region("edge", 40.0, 116.0, "")
        + region("gone", 52.0, -1.0, ENGINES + 'state = "disabled"\n')
    )
    (tmp_path / "catalog.toml").write_text(catalog, encoding="utf-8")
    table = WorldTable(catalog="catalog.toml", demand={"edge": 3.0, "gone": 0.5})
    world = read_world(table, beside=tmp_path)
    assert [(region.name, region.weight, region.utc_offset_hours) for region in world.regions] == [
        ("west", 1.5, 0.0),
        ("east", 4.0, 9.0),
    ]
    assert world.known == {"west", "east", "edge", "gone"}


def test_a_catalog_with_mistakes_or_without_engines_is_refused(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, catalog="none.toml") == (
        f"world.catalog: {tmp_path / 'none.toml'}: No such file or directory",
    )
    (tmp_path / "catalog.toml").write_text(region("edge", 40.0, 116.0, ""), encoding="utf-8")
    assert mistakes_of(tmp_path, catalog="catalog.toml") == ("world.catalog: no active region has engines",)
