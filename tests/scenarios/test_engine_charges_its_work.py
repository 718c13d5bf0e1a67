"""What streams are charged is what the inference thread did: their sum is its busy time within 1 %."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.harness.engine import Listener, linked, running_engine
from tests.harness.recordings import cut, talk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.alone]

STREAMS = 12
TALK_MS = 6_000


async def test_the_compute_of_all_streams_is_the_busy_time_of_the_inference_thread(tmp_path: Path) -> None:
    async with (
        running_engine(tmp_path, "--slots", str(STREAMS), "--busy-permille", "0") as engine,
        linked(engine.address) as link,
    ):
        listeners = [Listener(f"stream {number}", tenant=f"tenant {number % 3}") for number in range(STREAMS)]
        for listener in listeners:
            listener.open(link)
        for listener in listeners:
            await listener.until_answered()
        async with asyncio.TaskGroup() as tasks:
            for number, listener in enumerate(listeners):
                tasks.create_task(listener.say_all(cut(talk(number, duration_ms=TALK_MS), 3_200)))
        for listener in listeners:
            await listener.until_over()
        told_us = sum(listener.compute_us for listener in listeners)
        async with asyncio.timeout(60):
            while (figures := await engine.describe()).charged_us_total != told_us:
                await asyncio.sleep(0.02)
        assert all(listener.compute_us > 0 for listener in listeners)
        assert told_us > 100_000
        assert abs(figures.busy_us_total - told_us) <= 0.01 * figures.busy_us_total
