"""A token runs out while its session lives: the utterance under way becomes final, then the client hears why."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from gateway.cli.connection import ConnectionFailed
from gateway.dev_keys import DevClaims
from tests.harness.caller import Caller, calling, transcribe
from tests.harness.recordings import exact_names, pcm_of, pieces_of, talk
from tests.harness.region import Region, start_region

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.alone]

TTL_S = 4
GRACE_MS = 800
TALK = pieces_of(talk(7, duration_ms=40_000))
LEAD_IN_BYTES, TAIL_BYTES = 400 * 32, 700 * 32
WITHOUT_A_PAUSE = pieces_of(b"".join(pcm_of(name)[LEAD_IN_BYTES:-TAIL_BYTES] for name in exact_names()[:13]))
"""Each recording has 400 ms of silence before and 700 ms after its words."""


@pytest.fixture(scope="module")
def strict_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with start_region(
        tmp_path_factory.mktemp("region"), tokens__leeway_s=0, sessions__ending_grace_ms=GRACE_MS
    ) as running:
        yield running


async def speak_past_expiry(region: Region, protocol: str, pieces: list[bytes], *, speed: float) -> Caller:
    """Until the session is over; the token is good for `TTL_S` seconds at most."""
    token = region.keys.mint(DevClaims(), ttl_s=TTL_S, now_s=int(time.time()))
    async with calling(region, protocol, token=token) as caller:
        await caller.start()
        with contextlib.suppress(ConnectionFailed):
            await caller.say_all(pieces, speed=speed)
        await caller.until_over()
    assert caller.error is not None
    assert caller.error.reason == "token_expired"
    assert not caller.error.retryable
    assert not caller.is_finished
    return caller


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_what_was_said_before_the_token_expired_becomes_final_and_is_right(
    strict_region: Region, protocol: str
) -> None:
    undisturbed = (await transcribe(strict_region, TALK)).finals
    caller = await speak_past_expiry(strict_region, protocol, TALK, speed=6.0)
    print(f"{len(caller.finals)} of {len(undisturbed)} finals before the token expired")
    assert caller.finals
    assert caller.finals[:-1] == undisturbed[: len(caller.finals) - 1]
    # The last one may have been cut by the grace; what it says was said.
    assert undisturbed[len(caller.finals) - 1].text.startswith(caller.finals[-1].text)


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_somebody_who_never_pauses_is_cut_after_the_grace_and_keeps_the_words(
    strict_region: Region, protocol: str
) -> None:
    began_s = time.monotonic()
    caller = await speak_past_expiry(strict_region, protocol, WITHOUT_A_PAUSE, speed=1.0)
    elapsed_s = time.monotonic() - began_s
    (final,) = caller.finals
    said = " ".join(partial.text for partial in caller.partials[-1:])
    assert final.text.split()[: len(said.split()) - 1] == said.split()[:-1]
    assert elapsed_s < TTL_S + GRACE_MS / 1_000 + 10.0


async def test_a_token_that_is_expired_opens_nothing(strict_region: Region) -> None:
    token = strict_region.keys.mint(DevClaims(), ttl_s=1, now_s=int(time.time()) - 10)
    with pytest.raises(ConnectionFailed, match="token_expired"):
        async with calling(strict_region, "ws", token=token):
            pass
    async with calling(strict_region, "grpc", token=token) as caller:
        await caller.start()
        await caller.until_over()
    assert caller.error is not None
    assert caller.error.reason == "token_expired"


async def test_other_sessions_do_not_notice(strict_region: Region) -> None:
    other = asyncio.create_task(transcribe(strict_region, TALK, speed=10.0))
    await speak_past_expiry(strict_region, "ws", TALK, speed=6.0)
    assert (await other).is_finished
