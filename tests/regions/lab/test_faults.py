"""When faults strike, and when they are over. That they do what they say is in tests/scenarios/test_lab_drills.py."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest

from regions.lab.conditions import Conditions
from regions.lab.fault_spec import FaultKind, FaultSpec
from regions.lab.faults import FaultInjector, Strike, timetable
from regions.lab.processes import ProcessTable
from regions.lab.relays import running_relays
from regions.lab.world import World
from regions.lab.world_spec import WorldSpec
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

KILL = FaultSpec(kind=FaultKind.kill, target="engine/*")


def at(fault: FaultSpec, seed: int = 1) -> list[float]:
    return [strike.at_s for strike in timetable([fault], random.Random(seed))]


@pytest.mark.unit
def test_a_fault_strikes_once_or_at_each_interval() -> None:
    assert at(KILL.model_copy(update={"at_s": 3.0})) == [3.0]
    assert at(KILL.model_copy(update={"at_s": 3.0, "every_s": 2.0, "times": 3})) == [3.0, 5.0, 7.0]


@pytest.mark.unit
def test_random_strikes_lie_in_their_time_and_come_again_with_the_seed() -> None:
    fault = KILL.model_copy(update={"times": 50, "between_s": (2.0, 4.0)})
    strikes = at(fault)
    assert len(strikes) == 50
    assert strikes == sorted(strikes)
    assert min(strikes) >= 2.0
    assert max(strikes) <= 4.0
    assert strikes == at(fault)
    assert strikes != at(fault, seed=2)


@pytest.mark.unit
def test_strikes_of_several_faults_come_in_their_order() -> None:
    faults = [KILL.model_copy(update={"at_s": 5.0}), KILL.model_copy(update={"at_s": 1.0, "every_s": 2.0, "times": 3})]
    assert [strike.at_s for strike in timetable(faults, random.Random(1))] == [1.0, 3.0, 5.0, 5.0]


@pytest.mark.integration
async def test_links_are_lit_again_as_soon_as_nobody_is_left_in_the_dark(tmp_path: Path) -> None:
    link = "link/client/west/1"
    async with running_relays() as relays, ProcessTable() as table:
        world = World(WorldSpec(), tmp_path, table, relays)
        await relays.open(link, "127.0.10.2", Conditions())
        injector = FaultInjector(world, random.Random(1))
        dark = FaultSpec(kind=FaultKind.darken, target=link, for_s=600)
        running = asyncio.create_task(injector.run([Strike(0.0, dark)], time.monotonic()))
        await until(lambda: bool(injector.struck), what="the strike")
        assert injector.struck[0].over_at_s > time.monotonic() + 300
        injector.light()
        await asyncio.wait_for(running, 30)
        assert injector.struck[0].over_at_s <= time.monotonic()
