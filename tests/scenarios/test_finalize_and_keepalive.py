"""What a client may ask for between its words: that all before be final, and that the session be kept."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from gateway.wire.messages import Ack
from tests.harness.caller import Caller, calling, transcribe
from tests.harness.recordings import pcm_of, pieces_of, silence, transcripts
from tests.harness.region import Region, start_region
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

PROTOCOLS = ["ws", "grpc"]
IDLE_MS = 1_500
NAME = "digits_rms.wav"
SPOKEN = pcm_of(NAME)[: -700 * 32]
"""Without the silence at the end: nothing but `finalize` can end the utterance."""
LONGEST_FINALIZE_S = 5.0


@pytest.fixture(scope="module")
def impatient_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with start_region(tmp_path_factory.mktemp("region"), sessions__idle_timeout_ms=IDLE_MS) as running:
        yield running


async def ask_for_final(caller: Caller, request_id: str) -> float:
    """Seconds from the request to its confirmation."""
    asked_at_s = time.monotonic()
    await caller.finalize(request_id)
    await until(lambda: request_id in caller.finalized or caller.is_over, what=f"the ack of {request_id}")
    assert request_id in caller.finalized
    return time.monotonic() - asked_at_s


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_finalize_makes_what_was_said_final_and_is_confirmed_by_its_id(region: Region, protocol: str) -> None:
    async with calling(region, protocol) as caller:
        await caller.start()
        await caller.say_all(pieces_of(SPOKEN))
        elapsed_s = await ask_for_final(caller, "first")
        assert caller.text == transcripts()[NAME]
        assert caller.committed_ms == len(SPOKEN) // 32
        await caller.say_all(pieces_of(SPOKEN))
        await ask_for_final(caller, "second")
        assert caller.text == f"{transcripts()[NAME]} {transcripts()[NAME]}"
        await caller.finish()
        await caller.until_over()
    assert caller.is_finished
    assert caller.finalized == ["first", "second"]
    assert caller.finals[1].start_ms >= len(SPOKEN) // 32
    assert elapsed_s < LONGEST_FINALIZE_S


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_final_comes_before_the_ack_that_confirms_it(region: Region, protocol: str) -> None:
    async with calling(region, protocol) as caller:
        await caller.start()
        await caller.say_all(pieces_of(SPOKEN))
        await ask_for_final(caller, "now")
        kinds = [type(heard.message).__name__ for heard in caller.heard]
        ack = next(i for i, heard in enumerate(caller.heard) if isinstance(heard.message, Ack))
        assert kinds[:ack].count("FinalMessage") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_finalize_with_nothing_before_it_is_confirmed_at_once(region: Region, protocol: str) -> None:
    async with calling(region, protocol) as caller:
        await caller.start()
        await ask_for_final(caller, "nothing")
        assert caller.finals == []
        await caller.finish()
        await caller.until_over()
        assert caller.is_finished


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_finalizes_in_a_row_are_all_confirmed_in_order(region: Region, protocol: str) -> None:
    async with calling(region, protocol) as caller:
        await caller.start()
        names = []
        for number, piece in enumerate(pieces_of(SPOKEN, piece_ms=500)):
            await caller.say(piece)
            names.append(f"cut-{number}")
            await caller.finalize(names[-1])
        await caller.finish()
        await caller.until_over()
    assert caller.finalized == names
    assert caller.is_finished


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_session_without_words_is_kept_by_keepalive_alone(impatient_region: Region, protocol: str) -> None:
    async with calling(impatient_region, protocol) as caller:
        await caller.start()
        await caller.until_started()
        until_s = time.monotonic() + 4 * IDLE_MS / 1_000
        while time.monotonic() < until_s:
            await caller.keep_alive()
            await asyncio.sleep(IDLE_MS / 4_000)
        assert not caller.is_over
        await caller.say_all(pieces_of(pcm_of(NAME)))
        await caller.finish()
        await caller.until_over()
    assert caller.text == transcripts()[NAME]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_without_keepalive_an_idle_session_is_closed(impatient_region: Region, protocol: str) -> None:
    async with calling(impatient_region, protocol) as caller:
        await caller.start()
        await caller.until_started()
        began_s = time.monotonic()
        await caller.until_over()
        elapsed_s = time.monotonic() - began_s
    assert caller.error is not None
    assert caller.error.reason == "idle_timeout"
    assert elapsed_s > IDLE_MS / 1_000 * 0.8


async def test_times_go_on_after_a_pause_without_audio(impatient_region: Region) -> None:
    """The audio clock counts samples, not seconds: a client that says `keepalive` need not send silence."""
    async with calling(impatient_region) as caller:
        await caller.start()
        await caller.say_all(pieces_of(SPOKEN))
        await ask_for_final(caller, "pause")
        for _ in range(6):
            await caller.keep_alive()
            await asyncio.sleep(IDLE_MS / 4_000)
        await caller.say_all(pieces_of(SPOKEN + silence(300)))
        await caller.finish()
        await caller.until_over()
    joined = await transcribe(impatient_region, pieces_of(SPOKEN))
    shift_ms = len(SPOKEN) // 32
    assert [word.text for word in caller.finals[1].words] == [word.text for word in joined.finals[0].words]
    assert caller.finals[1].start_ms == joined.finals[0].start_ms + shift_ms
