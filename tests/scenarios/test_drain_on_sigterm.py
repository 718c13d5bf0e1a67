"""A gateway is told to go: utterances under way become final, clients hear that they may come again, then it goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway.cli.connection import ConnectionFailed, websocket_url
from tests.harness.caller import Caller, calling, transcribe
from tests.harness.ready import readiness
from tests.harness.recordings import pcm_of, pieces_of
from tests.harness.region import is_gone
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.alone]

DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))
SPEED = 3.0
FIRST_WORDS_PIECE = 13
"""1.3 s: in the middle of the first sentence, which ends at 2 s."""
DRAIN = {"drain__finish_ms": 40_000, "drain__announce_ms": 300}


async def speak_into_the_drain(region: Region, protocol: str, *, tell: Callable[[], None]) -> Caller:
    """`tell` is called in the middle of the first sentence."""
    async with calling(region, protocol) as caller:
        await caller.start()
        await caller.until_started()
        speaking = asyncio.create_task(caller.say_all(DIALOGUE, speed=SPEED))
        await until(lambda: len(caller.spoken_at_s) >= FIRST_WORDS_PIECE)
        tell()
        await caller.until_over()
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionFailed):
            await speaking
    return caller


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_session_ends_its_utterance_and_hears_that_it_may_come_again(
    new_region: Callable[..., Region], protocol: str
) -> None:
    region = new_region(**DRAIN)
    undisturbed = (await transcribe(region, DIALOGUE)).finals
    old = region.gateway_pid
    caller = await speak_into_the_drain(region, protocol, tell=lambda: os.kill(old, signal.SIGTERM))
    assert caller.finals == undisturbed[:1]
    assert caller.error is not None
    assert (caller.error.reason, caller.error.retryable) == ("draining", True)
    assert caller.error.retry_after_ms is not None
    await until(lambda: is_gone(old), what="the end of the old gateway")
    assert [row["is_clean"] for row in region.events("drain.done")] == [True]


async def test_readiness_goes_first_and_new_sessions_are_refused_as_retryable(
    new_region: Callable[..., Region],
) -> None:
    region = new_region("--scripted", drain__finish_ms=40_000, drain__announce_ms=700)
    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        await caller.say_all(pieces_of(bytes(32 * 1_300)))  # in mid-utterance for the scripted engine
        os.kill(region.gateway_pid, signal.SIGTERM)

        async def is_not_ready() -> bool:
            answer = await readiness(region)
            return answer is not None and answer.status == 503 and answer.body["reasons"] == ["draining"]

        await until_true(is_not_ready, what="503 from /readyz")
        assert (await transcribe(region, [])).is_finished, "a load balancer may not have noticed yet"

        async def is_refused() -> bool:
            async with aiohttp.ClientSession() as http:
                url = websocket_url(region.websocket).replace("ws://", "http://")
                async with http.get(url, headers={"Authorization": f"Bearer {region.token()}"}) as response:
                    return response.status == 503 and (await response.json())["reason"] == "draining"

        await until_true(is_refused, what="the refusal of new sessions")


async def test_sigterm_to_the_supervisor_drains_the_whole_region(new_region: Callable[..., Region]) -> None:
    region = new_region(**DRAIN)
    children = [region.gateway_pid, *region.engine_pids]
    caller = await speak_into_the_drain(region, "ws", tell=lambda: region.process.send_signal(signal.SIGTERM))
    assert [final.text for final in caller.finals] == ["turn off the bedroom lamp now"]
    assert caller.error is not None
    assert caller.error.reason == "draining"
    assert region.process.wait(20) == 0
    await until(lambda: all(is_gone(pid) for pid in children), what="the end of all processes")


async def test_a_session_that_does_not_end_is_cut_when_the_time_is_over(new_region: Callable[..., Region]) -> None:
    region = new_region("--scripted", drain__finish_ms=0)
    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        await caller.say_all(pieces_of(bytes(32 * 1_300)))
        old = region.gateway_pid
        os.kill(old, signal.SIGTERM)
        await caller.until_over()
        assert caller.error is not None
        assert caller.error.reason == "draining"
    await until(lambda: is_gone(old), what="the end of the old gateway")
