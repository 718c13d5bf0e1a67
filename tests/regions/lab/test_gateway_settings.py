"""What the lab tells its processes."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.limits.plans_file import read_plans
from regions.lab.gateway_settings import (
    EnginePlace,
    GatewayPlace,
    RegionAddresses,
    as_environment,
    catalog_text,
    engine_command,
    gateway_settings,
    plans_text,
    with_script,
)
from regions.lab.world_spec import ResidencySpec, WorldSpec

pytestmark = pytest.mark.unit

ENGINE = EnginePlace("west", "127.0.10.1", "spot", "redis://127.0.10.1:1/0", "127.0.10.2:7")


def place(world: WorldSpec, **more: Any) -> dict[str, Any]:
    gateway = GatewayPlace(
        region="west",
        host="127.0.10.1",
        folder=Path("/lab/west/gateway-1"),
        redis_url="redis://127.0.10.1:1/0",
        relay_port=8_085,
        catalog_file=Path("/lab/west/catalog.toml"),
        certificate={"certificate_file": "/c", "key_file": "/k", "ca_file": "/a"},
        resumption_key_file=Path("/lab/key"),
        engine_addresses=("127.0.10.2:7",),
        **more,
    )
    return gateway_settings(world, gateway, {"issuer": "lab"})


def test_a_gateway_of_one_region_is_given_its_engines_and_nothing_of_regions() -> None:
    settings = place(WorldSpec(settings={"sessions__liveness_ms": 900}))
    assert settings["engines__addresses"] == ("127.0.10.2:7",)
    assert settings["sessions__liveness_ms"] == 900
    assert not [name for name in settings if name.startswith("regions")]


def test_a_gateway_of_several_regions_finds_engines_by_itself_and_has_a_catalog() -> None:
    settings = place(WorldSpec(regions=3, profiles={"inner": ("west",)}))
    assert settings["engines__addresses"] == []
    assert settings["regions__relay"]["port"] == 8_085
    assert settings["residency"] == {"profiles": {"inner": ("west",)}, "default": ["west", "central", "east"]}


def test_settings_travel_as_json_in_the_environment() -> None:
    assert as_environment({"http__port": 0, "residency": {"default": ["west"]}}) == {
        "PATCHBAY__HTTP__PORT": "0",
        "PATCHBAY__RESIDENCY": json.dumps({"default": ["west"]}),
    }


def test_an_engine_of_several_regions_registers_by_the_address_of_its_link() -> None:
    command = engine_command("python", WorldSpec(regions=2, spot=1), ENGINE)
    assert command[command.index("--advertise") + 1] == "127.0.10.2:7"
    assert command[command.index("--capacity") + 1] == "spot"
    assert "--register" not in engine_command("python", WorldSpec(), ENGINE)
    assert "--recogniser" not in engine_command("python", WorldSpec(engine="embedded"), ENGINE)


def test_a_catalog_has_each_region_as_it_is_reached() -> None:
    world = WorldSpec(regions=2, spot=1)
    seen = {
        name: RegionAddresses((f"ws://127.0.10.2:1{number}/v1/stream",), (f"127.0.10.2:2{number}",))
        for number, name in enumerate(world.region_names)
    }
    west, central = tomllib.loads(catalog_text(world, seen))["regions"]
    assert (west["name"], central["name"]) == ("west", "central")
    assert central["relays"] == ["127.0.10.2:21"]
    assert [pool["capacity"] for pool in west["pools"]] == ["reserved", "spot"]


def test_a_world_of_bundles_has_a_country_for_each_region_and_settings_of_its_own() -> None:
    world = WorldSpec(regions=3, residency=ResidencySpec())
    seen = {name: RegionAddresses(("ws://g",), ("r:1",)) for name in world.region_names}
    countries = [region["country"] for region in tomllib.loads(catalog_text(world, seen))["regions"]]
    assert len(set(countries)) == 3
    engine = replace(ENGINE, residency=("--grant-keys", "/keys"))
    assert engine_command("python", world, engine)[-2:] == ["--grant-keys", "/keys"]


def test_a_script_is_one_argument_whatever_it_says() -> None:
    world = WorldSpec(regions=2, has_quota=True)
    command = engine_command("python", world, replace(ENGINE, script=("heard_file=/heard",)))
    (script,) = [command[at + 1] for at, argument in enumerate(command) if argument == "--script"]
    assert script == "heard_file=/heard,step_delay_ms=100"
    slow = with_script(command, "step_delay_ms=1500")
    assert slow[command.index(script)] == "heard_file=/heard,step_delay_ms=1500"
    assert with_script(["python"], "step_delay_ms=1") == ["python", "--script", "step_delay_ms=1"]


def test_the_plan_with_a_quota_ends_a_session_and_the_others_have_no_limit(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(plans_text(), encoding="utf-8")
    plans = tomllib.loads(plans_text())["plans"]
    assert plans["quota"]["when_exhausted"] == "finish"
    assert [name for name, plan in plans.items() if "key" in plan] == ["quota"]
    assert read_plans(file)


def test_webtransport_is_a_section_only_where_the_world_has_it() -> None:
    world = WorldSpec()
    assert "webtransport" not in place(world)
    section = {"host": "127.0.10.1", "port": 4_433}
    assert place(world, webtransport=section)["webtransport"] == {"reorder_ms": 400, **section}
