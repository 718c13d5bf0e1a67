"""Clients vanish in every way that TCP knows: their slots come back, and nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import psutil
import pytest

from gateway.wire.messages import ErrorMessage, Started
from tests.harness.caller import calling, transcribe
from tests.harness.metrics import has_no_sessions, scrape
from tests.harness.raw_websocket import RawWebSocket, raw_connection, raw_websocket, upgrade_request
from tests.harness.recordings import path_of, pcm_of, pieces_of
from tests.harness.region import PATCHBAY, Region, start_region, stopped
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.wire.messages import ServerMessage

pytestmark = pytest.mark.integration

SLOTS = 3
MORE_THAN_SLOTS = 2 * SLOTS
PIECES = pieces_of(pcm_of("digits_rms.wav"))


@pytest.fixture(scope="module")
def small_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """So few slots that one which leaks is missed at once."""
    with start_region(
        tmp_path_factory.mktemp("region"),
        *("--slots", str(SLOTS)),
        sessions__idle_timeout_ms=1_500,
        sessions__handshake_timeout_ms=1_500,
    ) as running:
        yield running


async def speak_a_little(socket: RawWebSocket) -> None:
    """A session in mid-utterance."""
    await socket.send_text('{"type":"start"}')
    _, payload = await socket.read_frame()
    assert b'"started"' in payload
    for piece in PIECES[:15]:
        await socket.send_audio(piece)


async def closed(region: Region, reason: str) -> int:
    return int((await scrape(region))("patchbay_sessions_closed_total", reason=reason))


async def everybody_is_gone(region: Region) -> None:
    await until_true(lambda: has_no_sessions(region), what="the return of all slots")
    assert (await transcribe(region, PIECES)).is_finished


async def test_slots_come_back_from_clients_that_half_close_in_mid_utterance(small_region: Region) -> None:
    before = await closed(small_region, "client_gone")
    for _ in range(MORE_THAN_SLOTS):
        async with raw_websocket(small_region) as socket:
            await speak_a_little(socket)
            socket.half_close()
            await socket.read_to_the_end()
        await until_true(lambda: has_no_sessions(small_region), what="the slot")
    assert await closed(small_region, "client_gone") == before + MORE_THAN_SLOTS
    await everybody_is_gone(small_region)


async def test_slots_come_back_from_clients_that_reset_in_mid_utterance(small_region: Region) -> None:
    before = await closed(small_region, "client_gone")
    for _ in range(MORE_THAN_SLOTS):
        async with raw_websocket(small_region) as socket:
            await speak_a_little(socket)
            socket.reset()
        await until_true(lambda: has_no_sessions(small_region), what="the slot")
    assert await closed(small_region, "client_gone") == before + MORE_THAN_SLOTS
    await everybody_is_gone(small_region)


async def test_a_client_that_says_nothing_more_is_closed_as_idle(small_region: Region) -> None:
    async with raw_websocket(small_region) as socket:
        await speak_a_little(socket)
        ending = await socket.read_to_the_end()
    assert reason_of(ending.messages) == "idle_timeout"
    assert (ending.close_code, ending.close_reason) == (4_408, "idle_timeout")
    await everybody_is_gone(small_region)


async def test_slots_come_back_from_clients_that_vanish_without_a_word(small_region: Region) -> None:
    for _ in range(2):
        async with contextlib.AsyncExitStack() as sockets:
            for _ in range(SLOTS):
                await speak_a_little(
                    await sockets.enter_async_context(raw_websocket(small_region, receive_buffer_bytes=4_096))
                )
            # Their hosts are gone: nobody reads, nobody answers the close, and TCP does not know it yet.
            await until_true(lambda: has_no_sessions(small_region), what="the slots")
            assert (await transcribe(small_region, PIECES)).is_finished
    await everybody_is_gone(small_region)


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_slots_come_back_from_clients_that_break_off(small_region: Region, protocol: str) -> None:
    for _ in range(MORE_THAN_SLOTS):
        async with calling(small_region, protocol) as caller:
            await caller.start()
            await caller.until_started()
            await caller.say_all(PIECES[:15])
        await until_true(lambda: has_no_sessions(small_region), what="the slot")
    await everybody_is_gone(small_region)


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_slots_come_back_from_client_processes_that_are_killed_or_frozen(
    small_region: Region, protocol: str
) -> None:
    command = [str(PATCHBAY), "transcribe", str(path_of("dialogue_awb.wav")), "--json", "--protocol", protocol]
    for is_frozen in (False, True):
        process = await asyncio.create_subprocess_exec(
            *command, env=small_region.environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert b'"started"' in await process.stdout.readline()
        if is_frozen:
            with stopped(process.pid):
                await until_true(lambda: has_no_sessions(small_region), what="the slot of a frozen client")
        process.kill()
        await process.communicate()
        await everybody_is_gone(small_region)


async def test_a_connection_without_a_start_is_closed_in_time(small_region: Region) -> None:
    async with raw_websocket(small_region) as socket:
        ending = await socket.read_to_the_end()
    assert reason_of(ending.messages) == "handshake_timeout"
    assert ending.close_code == 4_408


async def test_a_call_without_a_start_is_closed_in_time(small_region: Region) -> None:
    async with calling(small_region, "grpc") as caller:
        await caller.until_over()
    assert caller.error is not None
    assert caller.error.reason == "handshake_timeout"


async def test_nothing_stays_open_of_clients_that_are_gone(small_region: Region) -> None:
    await everybody_is_gone(small_region)
    gateway = psutil.Process(small_region.gateway_pid)
    before = gateway.num_fds()
    for _ in range(20):
        async with raw_connection(small_region) as (_, writer):
            writer.write(upgrade_request(small_region, small_region.token())[:40])
        async with raw_websocket(small_region) as socket:
            await socket.send_text('{"type":"start"}')
            socket.reset()
    await everybody_is_gone(small_region)

    async def are_as_few_as_before() -> bool:
        return gateway.num_fds() <= before + 2

    await until_true(are_as_few_as_before, what="the file descriptors")


def reason_of(messages: list[ServerMessage]) -> str | None:
    """Of the error that ended a session."""
    assert all(not isinstance(message, Started) for message in messages)
    errors = [message.reason for message in messages if isinstance(message, ErrorMessage)]
    return errors[-1] if errors else None
