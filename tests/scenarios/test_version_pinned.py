"""Two versions of a model side by side: a session stays with the weights that it began on, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import pytest

from gateway.wire.messages import Start, Started
from tests.harness.caller import calling, transcribe
from tests.harness.command import patchbay
from tests.harness.engine import engine_in_use
from tests.harness.next_version import write_next_version
from tests.harness.recordings import pcm_of, pieces_of
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.caller import Caller
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))
SPEED = 6.0
PIECES_INTO_SPEECH = 45
"""In the second sentence, the first of which is final by then."""


def load(region: Region, path: Path, engine: int, *more: str) -> str:
    """Load a model into one engine of the region; its version."""
    outcome = patchbay(region.folder, "models", "load", str(path), "--engine", str(engine), "--json", *more)
    assert outcome.exit_code == 0, outcome.err
    return str(outcome.json[0]["version"])


def version_of(caller: Caller) -> str:
    return caller.all_of(Started)[0].model_version


async def test_a_session_goes_on_with_its_version_while_new_ones_get_the_next(
    tmp_path: Path, new_region: Callable[..., Region]
) -> None:
    path = write_next_version(tmp_path)
    region = new_region("--engines", "2", "--model-folder", str(tmp_path))
    undisturbed = (await transcribe(region, DIALOGUE)).finals
    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        old = version_of(caller)
        loading = [asyncio.to_thread(load, region, path, engine, "--share", "100") for engine in (0, 1)]
        new, _ = await asyncio.gather(*loading)
        speaking = asyncio.create_task(caller.say_all(DIALOGUE, speed=SPEED))
        await until(lambda: len(caller.spoken_at_s) >= PIECES_INTO_SPEECH)
        newcomer = await transcribe(region, DIALOGUE[:20])
        # What takes its place has the models of the command line alone.
        os.kill(await engine_in_use(region), signal.SIGKILL)
        await speaking
        await caller.finish()
        await caller.until_over()
    assert [migrated.model_version for migrated in caller.migrations] == [old]
    assert caller.finals == undisturbed
    assert version_of(newcomer) == new != old


async def test_a_version_that_is_gone_is_waited_for_until_it_is_warm_elsewhere(
    tmp_path: Path, new_region: Callable[..., Region]
) -> None:
    path = write_next_version(tmp_path)
    region = new_region("--engines", "2", "--model-folder", str(tmp_path), sessions__recovery__timeout_ms=60_000)
    undisturbed = (await transcribe(region, DIALOGUE)).finals
    new = await asyncio.to_thread(load, region, path, 0)
    async with calling(region, "grpc") as caller:
        await caller.start(Start(model_version=new))
        await caller.until_started()
        speaking = asyncio.create_task(caller.say_all(DIALOGUE, speed=SPEED))
        await until(lambda: len(caller.spoken_at_s) >= PIECES_INTO_SPEECH)
        os.kill(region.engine_pids[0], signal.SIGKILL)  # the only one that has it
        assert await asyncio.to_thread(load, region, path, 1) == new
        await speaking
        await caller.finish()
        await caller.until_over()
    assert [migrated.model_version for migrated in caller.migrations] == [new]
    assert caller.finals == undisturbed, "the weights are the same"
    assert caller.is_finished


async def test_a_session_whose_version_is_gone_for_good_ends_in_time_with_its_reason(
    tmp_path: Path, new_region: Callable[..., Region]
) -> None:
    path = write_next_version(tmp_path)
    region = new_region("--engines", "2", "--model-folder", str(tmp_path), sessions__recovery__timeout_ms=2_500)
    new = await asyncio.to_thread(load, region, path, 0, "--share", "100")
    async with contextlib.AsyncExitStack() as callers:
        while True:  # of the two engines, one is drawn by lot; the first alone has it
            caller = await callers.enter_async_context(calling(region))
            await caller.start()
            await caller.until_started()
            if version_of(caller) == new:
                break
        speaking = asyncio.create_task(caller.say_all(DIALOGUE, speed=SPEED))
        await until(lambda: len(caller.spoken_at_s) >= PIECES_INTO_SPEECH)
        os.kill(region.engine_pids[0], signal.SIGKILL)
        await caller.until_over()
        await speaking
    assert caller.error is not None
    assert caller.error.reason == "engine_unavailable"
    assert "version" in caller.error.message
    assert caller.error.retryable
    (closed,) = [row for row in region.events("session.closed") if row["reason"] == "engine_unavailable"]
    assert closed["model_version"] == new
