"""An engine that more streams want than it can serve refuses at the door, and serves those inside in time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from engines.interface import RefusalReason, Refused
from engines.recognition.scripted import BLOCK_SAMPLES
from tests.harness.engine import Listener, linked, running_engine
from tests.harness.figures import quantile
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.alone]

STEP_DELAY_MS, MAX_BATCH, SLOTS = 40, 3, 64
"""At most 75 streams a second step, each every half second: 37 streams take all its time."""
CHUNK_S = BLOCK_SAMPLES / 16_000
SPOKEN_S = 5.0
MESSAGE = b"\x01\x00" * 1_600


async def test_too_many_streams_are_refused_and_the_others_are_served_in_time(tmp_path: Path) -> None:
    arguments = ["--recogniser", "scripted", "--script", f"step_delay_ms={STEP_DELAY_MS}"]
    arguments += ["--slots", str(SLOTS), "--max-batch", str(MAX_BATCH)]
    async with running_engine(tmp_path, *arguments) as engine, linked(engine.address) as link:
        listeners = [Listener(f"stream {number}", tenant=f"tenant {number % 4}") for number in range(SLOTS)]
        for listener in listeners:
            listener.open(link)
        for listener in listeners:
            await listener.until_answered()
        granted = [listener for listener in listeners if listener.end is None]
        refusals = [listener.end for listener in listeners if isinstance(listener.end, Refused)]
        real_time = MAX_BATCH * 1_000 / STEP_DELAY_MS * CHUNK_S
        assert 0.5 * real_time <= len(granted) <= real_time
        assert {refusal.reason for refusal in refusals} == {RefusalReason.no_free_slot}
        assert all(refusal.retry_after_ms for refusal in refusals)

        async with asyncio.TaskGroup() as tasks:
            for number, listener in enumerate(granted):
                tasks.create_task(speaks_in_real_time(listener, first_after_s=CHUNK_S * number / len(granted)))
        assert [listener.end for listener in granted] == [None] * len(granted)
        delays_s = [delay_s for listener in granted for delay_s in listener.delays_s]
        assert len(delays_s) > 0.8 * len(granted) * SPOKEN_S / CHUNK_S
        assert quantile(delays_s, 0.9) < 2 * CHUNK_S, "all of them at once would fall seconds behind"

        granted[0].cancel()
        await until(lambda: link.free_slots > 0, what="room for one more")
        one_more = Listener("one more")
        one_more.open(link)
        await one_more.until_answered()
        assert one_more.is_granted


async def speaks_in_real_time(listener: Listener, *, first_after_s: float) -> None:
    began_at_s = time.monotonic() + first_after_s
    for number in range(int(SPOKEN_S * 10)):
        await asyncio.sleep(began_at_s + number / 10 - time.monotonic())
        listener.say(MESSAGE)
