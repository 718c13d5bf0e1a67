"""A running world: what is in it, and that nothing of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from regions.lab.conditions import Conditions
from regions.lab.world import running_world
from regions.lab.world_spec import WorldSpec, targets_of
from tests.harness.region import is_gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_everything_that_a_drill_can_name_runs_and_ends_with_the_world(tmp_path: Path) -> None:
    spec = WorldSpec(regions=2)
    async with running_world(spec, tmp_path) as world:
        assert sorted(world.names()) == sorted(targets_of(spec))
        assert {name: list(urls) for name, urls in world.metrics_urls().items()}.keys() == {
            "gateway/west/1",
            "gateway/central/1",
        }
        assert world.engine_addresses().keys() == {"engine/west/reserved-1", "engine/central/reserved-1"}
        assert world.usual_conditions("link/region/west/central/1") == Conditions(delay_ms=20)
        assert all(url.startswith("ws://127.0.11.2:") for url in world.websockets("central"))
        pids = [member.pid for member in world.table.members.values()]
    assert [pid for pid in pids if not is_gone(pid)] == []
