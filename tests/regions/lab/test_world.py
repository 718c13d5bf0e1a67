"""A running world: what is in it, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from regions.lab.conditions import Conditions
from regions.lab.edges import edge_pids
from regions.lab.webtransport_connection import open_webtransport
from regions.lab.world import running_world
from regions.lab.world_spec import WorldSpec, targets_of
from tests.harness.region import is_gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_everything_that_a_drill_can_name_runs_and_ends_with_the_world(tmp_path: Path) -> None:
    spec = WorldSpec(regions=2, webtransport=True)
    async with running_world(spec, tmp_path) as world:
        assert sorted(world.names()) == sorted(targets_of(spec))
        assert {name: list(urls) for name, urls in world.metrics_urls().items()}.keys() == {
            "gateway/west/1",
            "gateway/central/1",
        }
        assert world.engine_addresses().keys() == {"engine/west/reserved-1", "engine/central/reserved-1"}
        assert world.usual_conditions("link/region/west/central/1") == Conditions(delay_ms=20)
        assert all(url.startswith("ws://127.0.11.2:") for url in world.websockets("central"))
        catalog = tomllib.loads((world.regions["west"].folder / "catalog.toml").read_text())
        named = {region["name"]: region["gateways"] for region in catalog["regions"]}
        assert named == {
            name: [*world.websockets(name), world.webtransports()[world.websockets(name)[0]]] for name in named
        }
        west = world.webtransports()[world.websockets("west")[0]]
        hashes = {world.certificates[name].sha256 for name in ("west", "central")}
        assert len(hashes) == 2
        session = await open_webtransport(west, world.token(subject="one"), hashes=hashes)
        await session.say('{"type":"start"}')
        async with asyncio.timeout(30):
            said = json.loads(await session.hear() or "{}")
        assert (said["type"], said["region"]) == ("started", "west")
        await session.close()
        edges = [pid for name in ("west", "central") for pid in edge_pids(world.table.members[f"gateway/{name}/1"].pid)]
        assert len(edges) == 2
        pids = edges + [member.pid for member in world.table.members.values()]
    assert [pid for pid in pids if not is_gone(pid)] == []
