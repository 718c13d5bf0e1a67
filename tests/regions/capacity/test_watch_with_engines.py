"""The watch of capacity over real engines in two zones: what they report is what is said, until one is told to go."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from engines.interface import OpenStream, StreamOptions
from policies.tier_slots import TierHeadroom
from policies.unmet_demand import UnmetDemand
from regions.capacity.settings import CapacitySettings
from regions.capacity.watch import CapacityWatch
from regions.discovery.interface import EngineAddress
from regions.links.pool import LinkPool
from regions.links.settings import PoolSettings
from tests.harness.engine import running_engine
from tests.harness.waiting import until
from tests.regions.capacity.reports import RESERVED, SPOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

_REPORTED_S = 20.0
SCRIPTED = ("--recogniser", "scripted", "--slots", "8")


async def test_a_zone_whose_machine_goes_is_no_capacity_and_its_stream_is_still_demand(tmp_path: Path) -> None:
    for name in ("base", "spot"):
        (tmp_path / name).mkdir()
    async with (
        asyncio.timeout(60),
        running_engine(tmp_path / "base", *SCRIPTED, "--pool", "base") as base,
        running_engine(tmp_path / "spot", *SCRIPTED, "--pool", "spot", "--drain-deadline-ms", "10000") as spot,
    ):
        pool = LinkPool(PoolSettings(), gateway="test")
        watch = CapacityWatch(
            CapacitySettings(headroom_permille=0),
            TierHeadroom(),
            reports=pool.reports,
            pools=lambda: (),
            unmet=UnmetDemand(),
            now_ms=pool.now_ms,
        )
        of_spot = EngineAddress(spot.address, "spot", SPOT, "b")
        pool.set_members((of_spot,))
        running = asyncio.create_task(pool.run())
        try:
            await until(lambda: len(pool.reports()) == 1, within_s=_REPORTED_S, what="the report of one engine")
            asked = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
            stream = pool.open(asked, lambda _event: None)
            pool.set_members((EngineAddress(base.address, "base", RESERVED, "a"), of_spot))

            def slots() -> list[tuple[str, str, int, int, int]]:
                return [
                    (row.pool, row.zone, row.slots_total, row.slots_used, row.slots_leaving)
                    for fleet in watch.now().fleets
                    for row in fleet.fleet.rows
                ]

            await until(
                lambda: slots() == [("base", "a", 8, 0, 0), ("spot", "b", 8, 1, 0)],
                within_s=_REPORTED_S,
                what="what both engines have",
            )
            spot.process.terminate()
            await until(
                lambda: slots() == [("base", "a", 8, 0, 0), ("spot", "b", 0, 1, 8)],
                within_s=_REPORTED_S,
                what="the word that one goes",
            )
            (fleet,) = watch.now().fleets
            assert (fleet.wanted.demand_slots, fleet.zone_loss.left_slots, fleet.zone_loss.holds) == (1, 8, True)
            stream.cancel()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
