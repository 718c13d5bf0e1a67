"""An engine process under churn for a long time: its memory does not grow, and no slot, descriptor or thread stays.

With `--long` (`make soak`) it lasts an hour, or PATCHBAY_SOAK_MINUTES.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from engines.interface import Decoding, Keyword, Lost, Refused, StreamOptions
from tests.harness.engine import Listener, linked, running_engine
from tests.harness.recordings import pieces_of, talk
from tests.harness.resources import Held, Watch, held_by
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from regions.links.grpc_link import GrpcLink
    from tests.harness.engine import EngineProcess

pytestmark = [pytest.mark.soak, pytest.mark.integration]

SLOTS = 24
TALKERS = 28
"""More than there are slots: some are refused and ask again."""
LINKS = 3
SHORT_S, SHORT_WARM_UP_S = 15.0, 5.0
LONG_WARM_UP_S, LONG_WARM_UP_SHARE = 600.0, 0.4
"""So long, or this share of a shorter run: the allocator takes minutes until it has what it needs at any moment."""
LOOK_EVERY_S = 0.5
LINK_LIVES_S = (2.0, 20.0)
MOST_GROWTH_KIB_PER_HOUR = 1_024
MOST_GROWTH_AT_REST_KIB = 4_096
"""From the end of the warm-up to the end: what is held when nobody talks moves less than what is held under load."""
SLACK = 2
"""Descriptors and threads: a connection that is just being closed."""


def _minutes() -> float:
    return float(os.environ.get("PATCHBAY_SOAK_MINUTES", "60"))


@dataclass
class Churn:
    """Talkers on links that are lost now and then."""

    engine: EngineProcess
    is_over: bool = False
    links: list[GrpcLink | None] = field(default_factory=lambda: [None] * LINKS)
    streams: int = 0
    finished: int = 0
    cancelled: int = 0
    refused: int = 0
    lost: int = 0
    links_made: int = 0
    stray: int = 0
    """Events after the end of their stream."""

    async def run(self, duration_s: float) -> None:
        self.is_over = False
        async with asyncio.TaskGroup() as tasks:
            for number in range(LINKS):
                tasks.create_task(self._keep_a_link(number))
            for number in range(TALKERS):
                tasks.create_task(self._keep_talking(number))
            await asyncio.sleep(duration_s)
            self.is_over = True

    async def _keep_a_link(self, number: int) -> None:
        dice = random.Random(f"link {number} {self.links_made}")
        while not self.is_over:
            async with linked(self.engine.address, gateway=f"soak {number}") as link:
                self.links_made += 1
                self.links[number] = link
                ends_at_s = time.monotonic() + dice.uniform(*LINK_LIVES_S)
                while not self.is_over and time.monotonic() < ends_at_s:
                    await asyncio.sleep(0.05)
                self.links[number] = None
                if self.is_over:  # let those who are in the middle of it end properly
                    with contextlib.suppress(AssertionError):
                        await until(lambda: not link.open_streams)

    async def _keep_talking(self, number: int) -> None:
        dice = random.Random(f"talker {number} {self.streams}")
        while not self.is_over:
            link = self.links[dice.randrange(LINKS)]
            if link is None or not link.is_connected:
                await asyncio.sleep(0.02)
                continue
            self.streams += 1
            listener = Listener(f"{number}-{self.streams}", tenant=f"tenant {number % 4}", options=options_of(dice))
            await self._talk(listener, link, dice)
            self._count(listener)

    async def _talk(self, listener: Listener, link: GrpcLink, dice: random.Random) -> None:
        """Some seconds of audio at four times their pace, and an end of any kind."""
        listener.open(link)
        await listener.until_answered()
        for piece in audio_of(dice):
            if not await listener.has_room_for(piece):
                break
            listener.say(piece)
            await asyncio.sleep(0.025)
        if listener.is_over:
            if isinstance(listener.end, Refused):
                await asyncio.sleep(dice.uniform(0.05, 0.2))
        elif dice.random() < 0.3:
            listener.cancel()
        else:
            listener.finish()
            await listener.until_over()

    def _count(self, listener: Listener) -> None:
        self.stray += len(listener.after_the_end)
        if isinstance(listener.end, Refused):
            self.refused += 1
        elif isinstance(listener.end, Lost):
            self.lost += 1
        elif listener.is_cancelled:
            self.cancelled += 1
        else:
            self.finished += 1


def options_of(dice: random.Random) -> StreamOptions:
    """Now and then one of the dearer kinds."""
    kind = dice.random()
    if kind < 0.05:
        return StreamOptions(decoding=Decoding.beam)
    if kind < 0.1:
        return StreamOptions(keywords=(Keyword("boston"),))
    return StreamOptions(wants_partials=kind < 0.9)


def audio_of(dice: random.Random) -> Iterator[bytes]:
    """Up to six seconds in messages of 100 ms."""
    pieces = pieces_of(talk(dice.randrange(8), duration_ms=6_000))
    first = dice.randrange(len(pieces))
    yield from (pieces[first:] + pieces[:first])[: dice.randrange(3, 60)]


async def at_rest(engine: EngineProcess) -> Held:
    """What the engine holds when nobody talks. Raises TimeoutError: a slot, or audio, stayed behind."""
    async with asyncio.timeout(30):
        while True:
            load = (await engine.describe()).load
            if not load.slots_used and not load.queued_audio_ms:
                break
            await asyncio.sleep(0.1)
    gc.collect()  # our own side of the links: grpcio closes a channel's connection when the channel is collected
    await asyncio.sleep(1.0)
    return held_by(engine.pid)


@pytest.mark.timeout(4 * 3_600)
async def test_an_engine_under_churn_neither_grows_nor_keeps_anything(
    tmp_path: Path, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    duration_s = _minutes() * 60 if is_long else SHORT_S
    warm_up_s = min(LONG_WARM_UP_S, LONG_WARM_UP_SHARE * duration_s) if is_long else SHORT_WARM_UP_S
    async with running_engine(tmp_path, "--slots", str(SLOTS), "--busy-permille", "0") as engine:
        churn = Churn(engine)
        await churn.run(warm_up_s)
        rested = await at_rest(engine)
        watch = Watch(engine.pid)
        looking = asyncio.create_task(_look_every_now_and_then(watch))
        await churn.run(duration_s - warm_up_s)
        looking.cancel()
        slope = watch.memory_slope
        left = await at_rest(engine)
        figures = (
            f"\n{duration_s / 60:.1f} minutes of churn: {churn.streams} streams ({churn.finished} finished, "
            f"{churn.cancelled} cancelled, {churn.refused} refused, {churn.lost} lost with {churn.links_made} links); "
            f"memory {slope if is_long else 'not long enough'}; at rest {rested.rss_kib} -> "
            f"{left.rss_kib} KiB, {rested.descriptors} -> {left.descriptors} descriptors, "
            f"{rested.threads} -> {left.threads} threads; no slot left in use"
        )
        with capsys.disabled():
            print(figures)
        assert engine.is_alive
        assert churn.stray == 0
        assert min(churn.finished, churn.cancelled, churn.lost) > 0
        assert left.descriptors <= rested.descriptors + SLACK, figures
        assert left.threads <= rested.threads + SLACK, figures
        if is_long:
            assert left.rss_kib <= rested.rss_kib + MOST_GROWTH_AT_REST_KIB, figures
            assert slope.kib_per_hour - 3 * slope.error_kib_per_hour <= MOST_GROWTH_KIB_PER_HOUR, figures


async def _look_every_now_and_then(watch: Watch) -> None:
    while True:
        watch.look()
        await asyncio.sleep(LOOK_EVERY_S)
