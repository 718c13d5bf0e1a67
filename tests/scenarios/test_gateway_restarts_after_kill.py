"""The gateway is killed: the supervisor starts it again where clients know it, and engines get their slots back."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.harness.caller import calling, transcribe
from tests.harness.metrics import has_no_sessions, slots_used
from tests.harness.ready import is_ready
from tests.harness.recordings import pcm_of, pieces_of, transcripts
from tests.harness.region import is_gone
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.region import Region

pytestmark = pytest.mark.integration

NAME = "digits_rms.wav"
PIECES = pieces_of(pcm_of(NAME))


async def test_new_sessions_work_on_the_same_ports_after_the_gateway_was_killed(
    new_region: Callable[..., Region],
) -> None:
    region = new_region()
    engines, old = region.engine_pids, region.gateway_pid
    async with calling(region) as websocket, calling(region, "grpc") as grpc:
        for caller in (websocket, grpc):
            await caller.start()
            await caller.until_started()
            await caller.say_all(PIECES)
        os.kill(old, signal.SIGKILL)
        await websocket.until_over()
        await grpc.until_over()
        assert not websocket.is_finished
        assert not grpc.is_finished
    await until(lambda: region.gateway_pid != old, what="another gateway")
    await until_true(lambda: is_ready(region), what="readiness")
    for protocol in ("ws", "grpc"):
        assert (await transcribe(region, PIECES, protocol=protocol)).text == transcripts()[NAME]
    await until_true(lambda: has_no_sessions(region), what="the slots of the sessions that died")
    assert region.engine_pids == engines


async def test_engines_that_outlive_a_gateway_serve_the_next(new_region: Callable[..., Region]) -> None:
    region = new_region("--slots", "2")
    async with calling(region) as first, calling(region, "grpc") as second:
        for caller in (first, second):
            await caller.start()
            await caller.until_started()
        assert await slots_used(region) == 2
        old = region.gateway_pid
        os.kill(old, signal.SIGKILL)
        await until(lambda: region.gateway_pid != old, what="another gateway")
    await until_true(lambda: is_ready(region), what="readiness")
    async with calling(region) as third, calling(region, "grpc") as fourth:
        for caller in (third, fourth):  # both slots are free again, or one of them would be refused
            await caller.start()
            await caller.until_started()


async def test_children_do_not_outlive_a_supervisor_that_is_killed(new_region: Callable[..., Region]) -> None:
    region = new_region("--engines", "2", "--scripted")
    children = [region.gateway_pid, *region.engine_pids]
    region.process.kill()
    region.process.wait()
    await until(lambda: all(is_gone(pid) for pid in children), what="the end of the children")
