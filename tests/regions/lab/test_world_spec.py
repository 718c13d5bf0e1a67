"""The names of everything in a world, and where its engines stand."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regions.lab.world_spec import (
    ResidencySpec,
    WorldSpec,
    engines_in_zone,
    engines_of,
    matching,
    targets_of,
    zone_of,
    zones_of,
)

pytestmark = pytest.mark.unit


def test_everything_in_a_world_can_be_named() -> None:
    names = targets_of(WorldSpec(regions=2, reserved=1, spot=1))
    assert [name for name in matching("*/west*", names) if not name.startswith(("link/", "pool/"))] == [
        "region/west",
        "redis/west",
        "gateway/west/1",
        "engine/west/reserved-1",
        "engine/west/spot-1",
    ]
    assert matching("link/*", names) == [
        "link/client/west/1",
        "link/engine/west/reserved-1",
        "link/engine/west/spot-1",
        "link/region/west/central/1",
        "link/client/central/1",
        "link/engine/central/reserved-1",
        "link/engine/central/spot-1",
        "link/region/central/west/1",
    ]


def test_engines_of_each_class_are_spread_evenly_over_the_zones() -> None:
    world = WorldSpec(regions=2, reserved=3, spot=4, zones=3)
    assert {engine: zone_of(world, engine) for engine in engines_of(world)} == {
        "reserved-1": "a",
        "reserved-2": "b",
        "reserved-3": "c",
        "spot-1": "a",
        "spot-2": "b",
        "spot-3": "c",
        "spot-4": "a",
    }
    assert engines_in_zone(world, "zone/central/a") == [
        "engine/central/reserved-1",
        "engine/central/spot-1",
        "engine/central/spot-4",
    ]


def test_zones_pools_and_replicas_can_be_named_where_there_are_any() -> None:
    world = WorldSpec(regions=2, spot=1, zones=2, redis_replica=True)
    names = targets_of(world)
    assert (
        zones_of(world)
        == matching("zone/*", names)
        == ["zone/west/a", "zone/west/b", "zone/central/a", "zone/central/b"]
    )
    assert matching("pool/west/*", names) == ["pool/west/reserved", "pool/west/spot"]
    assert matching("*redis/west*", names) == ["redis/west", "redis/west/replica", "link/redis/west"]
    assert matching("zone/*", targets_of(WorldSpec())) == []
    assert "redis/west/replica" not in targets_of(WorldSpec())


def test_bundles_are_for_several_regions_of_scripted_engines() -> None:
    assert WorldSpec(regions=2, residency=ResidencySpec()).residency is not None
    for wrong in ({"regions": 1}, {"regions": 2, "engine": "embedded"}):
        with pytest.raises(ValidationError, match="residency is for worlds of several regions"):
            WorldSpec.model_validate({**wrong, "residency": {}})


def test_webtransport_of_each_gateway_can_be_named_where_the_world_has_it() -> None:
    names = targets_of(WorldSpec(regions=2, gateways=2, webtransport=True))
    assert matching("edge/*", names) == ["edge/west/1", "edge/west/2", "edge/central/1", "edge/central/2"]
    assert matching("link/webtransport/west/*", names) == ["link/webtransport/west/1", "link/webtransport/west/2"]
    assert not [name for name in targets_of(WorldSpec()) if "edge" in name or "webtransport" in name]


def test_quotas_are_for_scripted_engines() -> None:
    with pytest.raises(ValidationError, match="has_quota is for worlds with scripted engines"):
        WorldSpec(engine="embedded", has_quota=True)
