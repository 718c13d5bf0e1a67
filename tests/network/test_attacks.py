"""What strangers and bad clients send: nobody else's session notices, and memory stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from typing import TYPE_CHECKING

import pytest
from aioquic.quic.connection import QuicConnection

from gateway.webtransport.client.errors import SessionOver
from gateway.wire.codec import encode_client
from gateway.wire.messages import Finalize, Finished, Start
from gateway.wire.stream_messages import TEXT
from tests.harness.figures import quantile
from tests.harness.metrics import scrape
from tests.harness.raw_quic import client_configuration
from tests.harness.recordings import pieces_of, talk
from tests.harness.udp_relay import UdpRelay
from tests.harness.waiting import until, until_true
from tests.network.edge_world import speak, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from gateway.webtransport.client.session import ClientSession
    from tests.harness.caller import Caller
    from tests.network.edge_world import EdgeWorld

pytestmark = pytest.mark.integration

MAX_GROWTH_BYTES = 40 * 1_048_576
SLOWEST_PARTIAL_S = 0.6
"""While others share the two cores of the machine with the test; alone it is a few milliseconds."""
FLOOD_SOURCES = 200
FLOOD_PACKETS_AT_ONCE = 20
FLOOD_PAUSE_S = 0.01
GARBAGE_PACKETS = 1_500
QUESTION = Finalize("x" * 8_000)
MOST_QUESTIONS = 1_500


@contextlib.asynccontextmanager
async def session_beside(world: EdgeWorld) -> AsyncIterator[Callable[[], Awaitable[Caller]]]:
    """A session in real time; call it to hear how it went."""
    pcm16 = talk(91, duration_ms=4_000)
    async with world.calling() as caller:
        speaking = asyncio.create_task(speak(caller, pieces_of(pcm16), speed=2.0))
        await until(lambda: bool(caller.partials) or speaking.done(), what="the session beside")

        async def finished() -> Caller:
            await speaking
            assert caller.words == words_of(pcm16)
            delays_s = sorted(caller.partial_delays_s())
            assert quantile(delays_s, 0.9) < SLOWEST_PARTIAL_S, delays_s
            return caller

        yield finished


def first_packets(count: int) -> list[bytes]:
    """Well-made first packets of as many clients, who say nothing more."""
    packets = []
    for _ in range(count):
        quic = QuicConnection(configuration=client_configuration())
        quic.connect(("127.0.0.1", 1), now=0.0)
        packets.append(quic.datagrams_to_send(now=0.0)[0][0])
    return packets


@contextlib.contextmanager
def sources(count: int) -> Iterator[list[socket.socket]]:
    """Sockets of as many addresses of this machine: all of 127/8 is."""
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(count):
            each = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
            each.bind((f"127.9.{number // 250}.{number % 250 + 1}", 0))
            made.append(each)
        yield made


async def retries_of(world: EdgeWorld) -> float:
    """An edge process that has just started has not told its figures yet."""
    figures, name = await scrape(world.region), "patchbay_quic_retries_total"
    return figures(name) if name in figures.names else 0.0


async def test_a_flood_of_first_packets_costs_bounded_memory_and_lets_a_new_client_in(world: EdgeWorld) -> None:
    packets, before_bytes = first_packets(FLOOD_SOURCES), world.edge_rss_bytes()
    retries = await retries_of(world)
    to = ("127.0.0.1", world.port)
    is_over = False

    async def flood(from_sockets: list[socket.socket]) -> None:
        number = 0
        while not is_over:
            for _ in range(FLOOD_PACKETS_AT_ONCE):
                with contextlib.suppress(BlockingIOError):
                    from_sockets[number % len(from_sockets)].sendto(packets[number % len(packets)], to)
                number += 1
            await asyncio.sleep(FLOOD_PAUSE_S)

    async with session_beside(world) as finished:
        with sources(FLOOD_SOURCES) as from_sockets:
            flooding = asyncio.create_task(flood(from_sockets))
            async with world.calling() as newcomer:
                await newcomer.start()
                await newcomer.until_started()
            await finished()
            is_over = True
            await flooding
    assert world.edge_rss_bytes() - before_bytes < MAX_GROWTH_BYTES

    async def has_asked_for_addresses() -> bool:
        return await retries_of(world) > retries

    await until_true(has_asked_for_addresses, what="Retry packets in the figures")


async def test_garbage_and_broken_copies_of_real_packets_harm_nobody(world: EdgeWorld) -> None:
    dice, edge_pid = random.Random(92), world.edge_pid
    pcm16 = talk(93, duration_ms=4_000)
    async with UdpRelay(world.port) as relay, session_beside(world) as finished:
        async with world.calling(port=relay.port) as caller:
            await speak(caller, pieces_of(pcm16), speed=8.0)
        assert caller.words == words_of(pcm16)
        heard = [passage.packet for passage in relay.there.log]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as stranger:
            for number in range(GARBAGE_PACKETS):
                packet = bytearray(dice.choice(heard)) if number % 3 else bytearray(os.urandom(dice.randrange(1_500)))
                if number % 3 == 1 and packet:
                    packet[dice.randrange(len(packet))] ^= 1 << dice.randrange(8)
                with contextlib.suppress(BlockingIOError):
                    stranger.sendto(packet[: dice.randrange(len(packet) + 1)], ("127.0.0.1", world.port))
                if number % 50 == 0:
                    await asyncio.sleep(0)
        await finished()
    assert world.edge_pid == edge_pid
    assert not [
        row for row in world.region.log_rows() if row.get("event") in ("quic.packet_failed", "quic.user_failed")
    ]


async def ask_and_never_read(session: ClientSession) -> None:
    """Each answer is as long as its question: 8 kB."""
    await session.send(TEXT, encode_client(Start()).encode())
    with contextlib.suppress(SessionOver):
        for _ in range(MOST_QUESTIONS):
            await session.send(TEXT, encode_client(QUESTION).encode())


async def test_a_client_that_never_reads_is_closed_and_holds_nobody_up(world: EdgeWorld) -> None:
    before_bytes = world.edge_rss_bytes()
    closed = (await scrape(world.region))("patchbay_sessions_closed_total", reason="client_too_slow")

    async def is_closed() -> bool:
        return (await scrape(world.region))("patchbay_sessions_closed_total", reason="client_too_slow") > closed

    async with session_beside(world) as finished, world.session() as deaf:
        asking = asyncio.create_task(ask_and_never_read(deaf))
        await until_true(is_closed, what="the end of the session that is not read")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        caller = await finished()
    assert caller.all_of(Finished)
    assert world.edge_rss_bytes() - before_bytes < MAX_GROWTH_BYTES
