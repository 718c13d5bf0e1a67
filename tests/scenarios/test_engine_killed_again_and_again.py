"""Engines are killed at random points under twenty live sessions: no word is lost and none comes twice.

The short form is part of `make test`; `make chaos` (--long, or PATCHBAY_LONG=1) kills fifty times. With one engine a
session waits for the supervisor to start another; with two it moves to the one that lives. The supervisor waits longer
and longer before it starts what keeps dying young, up to 5 s, which is what the longest pauses with one engine are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.harness.caller import Caller, calling, transcribe
from tests.harness.figures import quantile
from tests.harness.metrics import has_no_sessions
from tests.harness.recordings import pieces_of, talk
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_800)]

SESSIONS = 20
SHORT_KILLS, LONG_KILLS = 3, 50
LONGEST_TALK_MS = 20 * 60_000
SEED = 20_260_101


async def speak_until(caller: Caller, pieces: list[bytes], is_enough: asyncio.Event) -> int:
    """At the pace of speech; how many pieces were said when it was enough."""
    began_s = asyncio.get_running_loop().time()
    for number, piece in enumerate(pieces):
        if is_enough.is_set():
            return number
        await asyncio.sleep(max(0.0, began_s + number / 10 - asyncio.get_running_loop().time()))
        await caller.say(piece)
    raise AssertionError("the talk was too short for the kills")


async def live_session(region: Region, number: int, is_enough: asyncio.Event) -> tuple[Caller, list[bytes]]:
    """One session of the twenty, from its start to its end; gives what it said as well."""
    pieces = pieces_of(talk(number, duration_ms=LONGEST_TALK_MS))
    async with calling(region, ("ws", "grpc")[number % 2]) as caller:
        await caller.start()
        await caller.until_started()
        said = await speak_until(caller, pieces, is_enough)
        await caller.finish()
        await caller.until_over(within_s=60)
    return caller, pieces[:said]


async def kill_engines(region: Region, kills: int, dice: random.Random) -> None:
    """Each at a random time after an engine was there: sometimes while it still replays."""
    for _ in range(kills):
        await asyncio.sleep(dice.choice([dice.uniform(0.0, 0.3), dice.uniform(0.3, 2.5)]))
        pids = region.engine_pids
        victim = dice.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        await until(partial(is_replaced, region, victim), within_s=30, what="another engine")


def is_replaced(region: Region, pid: int) -> bool:
    return pid not in region.engine_pids


@pytest.mark.parametrize("replicas", [1, 2])
async def test_no_word_is_lost_or_doubled_however_often_engines_are_killed(
    new_region: Callable[..., Region], is_long: bool, capsys: pytest.CaptureFixture[str], replicas: int
) -> None:
    # An engine that is killed as soon as it is there, three times in a row, is away for longer than the default.
    region = new_region(
        "--engines", str(replicas), sessions__recovery__timeout_ms=60_000, sessions__opening_timeout_ms=30_000
    )
    kills = LONG_KILLS if is_long else SHORT_KILLS
    dice = random.Random(SEED + replicas)
    is_enough = asyncio.Event()
    sessions = [asyncio.create_task(live_session(region, number, is_enough)) for number in range(SESSIONS)]
    try:
        await kill_engines(region, kills, dice)
    finally:
        is_enough.set()
        outcomes = await asyncio.gather(*sessions)
    assert {type(outcome) for outcome in outcomes} == {tuple}

    pauses_ms = [migrated.pause_elapsed_ms for caller, _ in outcomes for migrated in caller.migrations]
    words = 0
    for number, (caller, said) in enumerate(outcomes):
        assert caller.is_finished, (number, caller.error, caller.failure)
        undisturbed = await transcribe(region, said)
        assert caller.finals == undisturbed.finals, f"session {number}"
        words += len(undisturbed.words)
    assert pauses_ms
    p50, p99 = quantile(pauses_ms, 0.5), quantile(pauses_ms, 0.99)
    with capsys.disabled():
        print(
            f"\n{kills} kills of {replicas} engine(s) under {SESSIONS} sessions: "
            f"{words} words, none lost, none doubled; "
            f"{len(pauses_ms)} pauses, p50 {p50} ms, p99 {p99} ms, longest {max(pauses_ms)} ms"
        )
    await until_true(lambda: has_no_sessions(region), what="the end of all sessions")
