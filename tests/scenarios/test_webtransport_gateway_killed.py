"""A gateway is killed under its WebTransport clients: they go on at the other one and lose no word, over WebTransport
where they can know it and it has UDP, else over WebSocket.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import psutil
import pytest

from gateway.cli.connection import TransportChoice
from gateway.cli.resuming import Endpoint
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.webtransport.client.trust import CaFile, CertificateHash
from gateway.wire.messages import Finished
from tests.harness.certificates import Authority
from tests.harness.gateway_pair import GatewayPair, Talker, gateway_pair
from tests.harness.recordings import pieces_of, talk
from tests.harness.waiting import until
from tests.network.edge_world import words_of

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.webtransport.client.trust import Trust

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_800), pytest.mark.alone]

AUDIO_MS = 10_000
SPEED = 8.0
SHORT_CLIENTS, LONG_CLIENTS = 3, 10
SHORT_ROUNDS, LONG_ROUNDS = 1, 15
KILL_AFTER_S = (0.1, 1.0)


def endpoint_at(pair: GatewayPair, name: str, tenant: str, trust: Trust | None = None) -> Endpoint:
    """WebTransport, and no other WebSocket than what `started` names. Without `trust`, the gateway's own hash."""
    ready = pair.ready[name]
    choices = WebTransportChoices(trust=trust or CertificateHash((ready["webtransport_certificate_sha256"],)))
    return Endpoint(
        ready["webtransport"],
        pair.token(tenant),
        TransportChoice.webtransport,
        webtransport=choices,
        fallback_url="",
    )


async def one_round(
    pair: GatewayPair,
    number: int,
    clients: int,
    dice: random.Random,
    *,
    trust: Trust | None = None,
    goes_on_over: str = "ws",
) -> list[Talker]:
    talkers = [Talker() for _ in range(clients)]
    audio = [talk(2_000 * number + index, duration_ms=AUDIO_MS) for index in range(clients)]
    edges = psutil.Process(pair.pid("a")).children()
    async with asyncio.TaskGroup() as tasks:
        for index, talker in enumerate(talkers):
            endpoint = endpoint_at(pair, "a", f"w{number}-{index}", trust)
            tasks.create_task(talker.talk(endpoint, pieces_of(audio[index]), speed=SPEED))
        await until(lambda: all(talker.started for talker in talkers), what="all sessions")
        await asyncio.sleep(dice.uniform(*KILL_AFTER_S))
        await pair.kill("a")
    for talker, pcm16 in zip(talkers, audio, strict=True):
        assert isinstance(talker.end, Finished), talker.end
        assert talker.end.audio_ms == len(pcm16) // 32
        assert talker.words == words_of(pcm16)
        assert talker.resumptions[-1].at == pair.url("b", goes_on_over)
        assert len({started.session_id for started in talker.started}) == 1
    await until(lambda: not any(edge.is_running() for edge in edges), what="the end of the killed gateway's edges")
    return talkers


async def test_webtransport_clients_of_a_killed_gateway_go_on_over_websocket_and_lose_no_word(
    tmp_path: Path, *, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(8)
    pauses_ms: list[int] = []
    async with gateway_pair(tmp_path, has_webtransport=True) as pair:
        for number in range(LONG_ROUNDS if is_long else SHORT_ROUNDS):
            talkers = await one_round(pair, number, LONG_CLIENTS if is_long else SHORT_CLIENTS, dice)
            pauses_ms += [talker.resumptions[-1].pause_elapsed_ms for talker in talkers]
            if is_long:
                await pair.start("a")
    pauses_ms.sort()
    with capsys.disabled():
        middle, longest = pauses_ms[len(pauses_ms) // 2], pauses_ms[-1]
        print(f"\n{len(pauses_ms)} WebTransport sessions resumed over WebSocket: p50 {middle} ms, longest {longest} ms")


@pytest.mark.parametrize(("without_udp", "goes_on_over"), [("", "webtransport"), ("b", "ws")], ids=["udp", "no_udp"])
async def test_clients_who_trust_an_authority_go_on_over_webtransport_where_it_comes_through(
    tmp_path: Path, without_udp: str, goes_on_over: str
) -> None:
    authority = Authority(tmp_path / "ca")
    trust = CaFile(authority.files("localhost").ca_file)
    async with gateway_pair(tmp_path, authority=authority, without_udp=without_udp) as pair:
        await one_round(pair, 0, SHORT_CLIENTS, random.Random(8), trust=trust, goes_on_over=goes_on_over)
