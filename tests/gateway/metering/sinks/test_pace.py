"""No more than so many a second."""

from __future__ import annotations

import asyncio

import pytest

from gateway.metering.sinks.pace import Pace

pytestmark = pytest.mark.unit


async def test_turns_come_evenly_and_heavy_ones_hold_up_the_next() -> None:
    pace = Pace(100)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    first = asyncio.create_task(pace.turn(5))
    await asyncio.sleep(0)
    assert first.done(), "the first waits for nothing"
    await pace.turn()
    assert loop.time() - began_s >= 0.05
