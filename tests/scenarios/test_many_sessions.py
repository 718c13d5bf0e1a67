"""Two hundred sessions at once, over both transports: each gets its own words, all of them, and nobody else's."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.harness.caller import Caller, calling, transcribe
from tests.harness.metrics import has_no_sessions, scrape
from tests.harness.recordings import pieces_of, talk
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.alone]

SESSIONS = 200
VOICES = 40
"""Different talks; each is spoken by five sessions."""
SLOTS = "256"


def protocol_of(number: int) -> str:
    return ("ws", "grpc")[number % 2]


async def speak_together(region: Region, talks: Sequence[list[bytes]], *, speed: float) -> list[Caller]:
    """Every session is open before the first one speaks, and none ends before all have spoken."""
    all_open = asyncio.Barrier(len(talks) + 1)
    all_spoken = asyncio.Barrier(len(talks))

    async def speak(number: int) -> Caller:
        async with calling(region, protocol_of(number)) as caller:
            await caller.start()
            await caller.until_started()
            await all_open.wait()
            await caller.say_all(talks[number], speed=speed)
            await all_spoken.wait()
            await caller.finish()
            await caller.until_over(within_s=60)
        return caller

    async def count() -> float:
        """What the gateway counts when everybody is there."""
        async with asyncio.timeout(60):
            await all_open.wait()
        return (await scrape(region))("patchbay_sessions")

    counting = asyncio.create_task(count())
    callers = await asyncio.gather(*(speak(number) for number in range(len(talks))))
    assert await counting == len(talks)
    return callers


async def test_two_hundred_sessions_get_their_own_words_from_the_model(new_region: Callable[..., Region]) -> None:
    region = new_region("--engines", "2", "--slots", SLOTS)  # one takes fewer if the machine is busy when it starts
    talks = [pieces_of(talk(voice, duration_ms=5_000)) for voice in range(VOICES)]
    undisturbed = [await transcribe(region, pieces) for pieces in talks]
    assert len({caller.text for caller in undisturbed}) > VOICES * 3 // 4
    callers = await speak_together(region, [talks[number % VOICES] for number in range(SESSIONS)], speed=1.0)
    for number, caller in enumerate(callers):
        assert caller.finals == undisturbed[number % VOICES].finals, f"session {number}"
    await until_true(lambda: has_no_sessions(region), what="the end of all sessions")


async def test_no_sample_of_two_hundred_sessions_crosses_into_another(new_region: Callable[..., Region]) -> None:
    region = new_region("--slots", SLOTS, "--scripted")
    blocks, block_samples = 20, 8_000
    talks = [
        pieces_of(np.full(blocks * block_samples, number + 1, "<i2").tobytes(), piece_ms=100)
        for number in range(SESSIONS)
    ]
    callers = await speak_together(region, talks, speed=2.0)
    for number, caller in enumerate(callers):
        heard = [re.fullmatch(r"w(\d+)v(-?\d+)", word) for word in caller.words]
        assert [(int(word[1]), int(word[2])) for word in heard if word] == [
            (block * block_samples, number + 1) for block in range(blocks)
        ], f"session {number}"
        foreign = [partial.text for partial in caller.partials if not says_only(partial.text, number + 1)]
        assert foreign == [], f"session {number}"
    await until_true(lambda: has_no_sessions(region), what="the end of all sessions")


def says_only(text: str, value: int) -> bool:
    return all(word.partition("v")[2] == str(value) for word in text.split())
