"""Gateways, exporter and Redis are killed at random under sessions: what was used is billed once, to the microsecond.

The gateways run the limiter, the journal and the Redis client of the product under sessions that only spend; hours pass
600 times as fast, so that many events end at the end of one. The receiver loses answers and refuses, a fifth of the
time. The short form is part of `make test`; `make chaos` (--long, or PATCHBAY_LONG=1) kills a thousand times.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.metered_world import MeteredWorld

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2_400)]

SHORT_KILLS, LONG_KILLS = 25, 1_000
SEED = 20_261_127


async def test_what_was_used_is_billed_once_however_often_all_are_killed(
    tmp_path: Path, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    async with MeteredWorld(tmp_path, gateways=3, sessions=8, orgs=4, seed=SEED) as world:
        for _ in range(LONG_KILLS if is_long else SHORT_KILLS):
            await asyncio.sleep(world.dice.uniform(0.05, 0.6))
            await world.kill_at_random()
        await world.settle()
        books = await world.books()
    with capsys.disabled():
        print(
            f"\n{sum(world.kills.values())} kills ({dict(world.kills)}) in {time.monotonic() - began_s:.0f} s: {books}"
        )
    assert books.mistakes == []
    assert sum(books.used.values()) > 0
    assert books.used == books.journaled == books.settled == books.recorded
    assert books.used == books.streamed == books.sent == books.received
