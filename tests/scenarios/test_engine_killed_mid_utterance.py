"""An engine is killed while somebody speaks: the client gets the finals of an undisturbed run, to the millisecond."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.harness.caller import calling, transcribe
from tests.harness.engine import engine_in_use
from tests.harness.recordings import pcm_of, pieces_of
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.region import Region

pytestmark = pytest.mark.integration

DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))
SPEED = 6.0


@pytest.mark.parametrize(("protocol", "replicas", "seed"), [("ws", 1, 1), ("grpc", 1, 2), ("ws", 2, 3)])
async def test_finals_after_a_kill_in_mid_utterance_are_those_of_an_undisturbed_run(
    new_region: Callable[..., Region], protocol: str, replicas: int, seed: int
) -> None:
    region = new_region(
        "--engines", str(replicas), sessions__recovery__timeout_ms=60_000, sessions__opening_timeout_ms=30_000
    )
    undisturbed = (await transcribe(region, DIALOGUE)).finals
    at_piece = random.Random(seed).randrange(10, len(DIALOGUE) - 10)
    async with calling(region, protocol) as caller:
        await caller.start()
        await caller.until_started()
        speaking = asyncio.create_task(caller.say_all(DIALOGUE, speed=SPEED))
        await until(lambda: len(caller.spoken_at_s) >= at_piece)
        os.kill(await engine_in_use(region), signal.SIGKILL)
        await speaking
        await caller.finish()
        await caller.until_over()
    print(f"killed after {at_piece * 100} ms of audio; migrated: {caller.migrations}")
    assert caller.finals == undisturbed
    assert caller.is_finished
    assert caller.migrations
