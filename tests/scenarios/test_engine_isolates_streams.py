"""Forty streams of one engine, while others come, go and lose their links: each hears what it hears alone."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from engines.interface import Lost, Refused
from tests.harness.engine import Listener, linked, running_engine
from tests.harness.recordings import cut, pcm_of, silence, transcripts
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from regions.links.grpc_link import GrpcLink
    from tests.harness.engine import EngineProcess

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

STREAMS = 40
SLOTS = 48
LINKS = 4
BROKEN_LINKS = 1
VISITORS = 60
"""Streams that only come to go again."""


def audio_of(number: int, *, sentences: int = 3) -> bytes:
    """Sentences with pauses that end utterances, in an order of the number's own."""
    dice = random.Random(number)
    names = sorted(set(transcripts()) - {"dialogue_awb.wav"})
    return b"".join(pcm_of(dice.choice(names)) + silence(dice.randrange(300, 1_400)) for _ in range(sentences))


def pieces_of(number: int) -> list[bytes]:
    """The same audio, cut as the dice fall: what comes of it may not depend on that."""
    dice = random.Random(-number)
    audio = audio_of(number)
    pieces = []
    while audio:
        num_bytes = 2 * dice.randrange(160, 8_000)
        pieces.append(audio[:num_bytes])
        audio = audio[num_bytes:]
    return pieces


async def alone(engine: EngineProcess, number: int) -> list[tuple[int, int, str]]:
    async with linked(engine.address) as link:
        listener = Listener(f"alone {number}")
        listener.open(link)
        await listener.until_answered()
        await listener.say_all(cut(audio_of(number), 32_000))
        await listener.until_over()
        return listener.told


async def opened(link: GrpcLink, name: str) -> Listener:
    """Asks until there is a slot; the link must not be lost meanwhile."""
    while True:
        listener = Listener(name)
        listener.open(link)
        await listener.until_answered()
        if not isinstance(listener.end, Refused):
            return listener
        await until(lambda: link.free_slots > 0, what="a free slot")


async def stays(link: GrpcLink, number: int) -> Listener:
    """From the first word to the last, or until the link is lost."""
    listener = await opened(link, f"stays {number}")
    for piece in pieces_of(number):
        if not await listener.has_room_for(piece):
            return listener
        listener.say(piece)
        if number % 3 == 0:
            await asyncio.sleep(0)
    listener.finish()
    await listener.until_over(within_s=120)
    return listener


async def visits(link: GrpcLink, number: int) -> Listener:
    """Says a little and goes away in the middle of it."""
    dice = random.Random(f"visitor {number}")
    listener = Listener(f"visits {number}")
    listener.open(link)
    await listener.until_answered()
    for piece in pieces_of(number)[: dice.randint(0, 12)]:
        if listener.end is None and listener.may_send(len(piece) // 2):
            listener.say(piece)
            await asyncio.sleep(0)
    if listener.end is None:
        listener.cancel()
    return listener


async def breaks(engine: EngineProcess, number: int) -> list[Listener]:
    """A link of its own that is lost while its streams talk."""
    async with linked(engine.address, gateway=f"breaks {number}") as link:
        listeners = [await opened(link, f"breaks {number}.{stream}") for stream in range(4)]
        for listener in listeners:
            listener.say(audio_of(number)[:64_000])
        await until(lambda: any(listener.consumed_through_sample for listener in listeners))
    return listeners


async def test_streams_hear_the_same_as_alone_whatever_happens_to_others(tmp_path: Path) -> None:
    async with running_engine(tmp_path, "--slots", str(SLOTS), "--busy-permille", "0") as engine:
        expected = [await alone(engine, number) for number in range(STREAMS)]
        assert sum(bool(text) for told in expected for _, _, text in told) > 2 * STREAMS
        links = [linked(engine.address, gateway=f"link {number}") for number in range(LINKS)]
        opened_links = [await link.__aenter__() for link in links]
        try:
            async with asyncio.TaskGroup() as tasks:
                staying = [tasks.create_task(stays(opened_links[number % LINKS], number)) for number in range(STREAMS)]
                visiting = [
                    tasks.create_task(visits(opened_links[number % LINKS], number)) for number in range(VISITORS)
                ]
                breaking = [tasks.create_task(breaks(engine, number)) for number in range(BROKEN_LINKS + 2)]
        finally:
            for link in links:
                await link.__aexit__(None, None, None)
        listeners = [task.result() for task in (*staying, *visiting)]
        broken = [listener for task in breaking for listener in task.result()]
        assert [listener.after_the_end for listener in (*listeners, *broken)] == [[]] * (len(listeners) + len(broken))
        assert [task.result().told for task in staying] == expected
        assert all(isinstance(listener.end, Lost) for listener in broken)
        await until_empty(engine)


async def until_empty(engine: EngineProcess) -> None:
    """No slot stays behind. Raises Overdue."""
    async with asyncio.timeout(60):
        while (await engine.describe()).load.slots_used:
            await asyncio.sleep(0.05)
