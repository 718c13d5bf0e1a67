"""The way to the edge is gone, or the edge process is: the session goes on, over WebSocket or at the next process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gateway.cli.connection import TransportChoice
from gateway.cli.resuming import Endpoint, ResumeRules
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.webtransport.client.connection import Loss
from gateway.webtransport.client.errors import SessionOver
from gateway.wire.codec import encode_client
from gateway.wire.messages import Finished, KeepAlive, Start
from gateway.wire.stream_messages import TEXT
from tests.harness.gateway_pair import Talker
from tests.harness.recordings import pieces_of, talk
from tests.harness.udp_relay import UdpRelay
from tests.harness.waiting import until
from tests.network.edge_world import words_of

if TYPE_CHECKING:
    from gateway.webtransport.client.session import ClientSession
    from tests.network.edge_world import EdgeWorld

pytestmark = pytest.mark.integration

AUDIO_MS = 8_000
SPEED = 4.0
SILENT_MS = 1_000
RULES = ResumeRules(first_delay_ms=50, max_delay_ms=500, give_up_ms=30_000, silent_ms=SILENT_MS, open_ms=1_000)


def endpoint(world: EdgeWorld, port: int | None = None) -> Endpoint:
    choices = WebTransportChoices(trust=world.trust)
    url, token, websocket = world.url(port), world.region.token(), world.region.websocket
    return Endpoint(url, token, TransportChoice.webtransport, webtransport=choices, fallback_url=websocket)


def assert_undisturbed(talker: Talker, pcm16: bytes) -> None:
    """Words as in a session that nothing happened to, each shown once."""
    assert isinstance(talker.end, Finished), talker.end
    assert talker.end.audio_ms == len(pcm16) // 32
    assert talker.words == words_of(pcm16)
    assert len({started.session_id for started in talker.started}) == 1


async def test_a_client_whose_packets_vanish_both_ways_goes_on_over_websocket(world: EdgeWorld) -> None:
    talker, pcm16 = Talker(), talk(85, duration_ms=AUDIO_MS)
    async with UdpRelay(world.port) as relay:
        talking = asyncio.create_task(
            talker.talk(endpoint(world, relay.port), pieces_of(pcm16), speed=SPEED, rules=RULES)
        )
        await until(lambda: len(talker.words) >= 4, what="the first final")
        relay.swallow()
        began_s = asyncio.get_running_loop().time()
        await until(lambda: bool(talker.resumptions), what="the session over WebSocket")
        noticed_s = asyncio.get_running_loop().time() - began_s
        await talking
    assert_undisturbed(talker, pcm16)
    (resumed,) = talker.resumptions
    assert urlsplit(resumed.at).scheme == "ws"
    assert noticed_s < 20


async def ask_until_it_ends(session: ClientSession) -> None:
    with contextlib.suppress(SessionOver):
        while session.ended is None:
            await session.send(TEXT, encode_client(KeepAlive()).encode())
            await asyncio.sleep(0.1)


async def test_clients_of_a_killed_edge_process_are_told_and_come_back(world: EdgeWorld) -> None:
    talker, pcm16 = Talker(), talk(86, duration_ms=AUDIO_MS)
    killed_pid = world.edge_pid
    talking = asyncio.create_task(talker.talk(endpoint(world), pieces_of(pcm16), speed=SPEED, rules=RULES))
    await until(lambda: len(talker.words) >= 4, what="the first final")
    async with world.session() as other:
        await other.send(TEXT, encode_client(Start()).encode())
        os.kill(killed_pid, signal.SIGKILL)
        await until(lambda: bool(talker.resumptions), what="the session at another process")
        asking = asyncio.create_task(ask_until_it_ends(other))
        await until(lambda: other.ended is not None, what="the end of a session that the new process does not know")
        await asking
        assert other.ended is not None
        assert other.ended.loss is Loss.reset
    await talking
    assert_undisturbed(talker, pcm16)
    async with world.calling() as caller:
        await caller.start()
        await caller.until_started()
    assert world.edge_pid != killed_pid
    assert world.region.gateway_pid == world.region.ready["gateway_pid"]
