"""A session that began over WebTransport, or meant to: it goes on where something comes through, each word once."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gateway.cli.audio_source import KeptAudio
from gateway.cli.connection import ConnectionFailed, TransportChoice
from gateway.cli.exit_codes import ExitCode
from gateway.cli.resuming import Endpoint, FellBack, Resumed, ResumeRules, ResumingSession
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.dev_keys import create_or_load
from gateway.errors import Reason, WrongRegion
from gateway.webtransport.client.trust import CertificateHash
from gateway.wire.messages import Ack, AudioLost, AudioSpec, FinalMessage, Finished, Start, Started
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.harness.ports import free_port
from tests.harness.udp_relay import UdpRelay
from tests.harness.waiting import until
from tests.harness.webtransport_server import running_server, silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.cli.resuming import Shown

pytestmark = pytest.mark.integration

PIECE = b"\x01\x00" * 1_600
RULES = ResumeRules(first_delay_ms=20, max_delay_ms=100, give_up_ms=30_000, open_ms=10_000, webtransport_ms=10_000)


class Talk:
    """A session whose audio the test gives."""

    def __init__(self, endpoint: Endpoint, rules: ResumeRules = RULES, *, audio: AudioSpec | None = None) -> None:
        self.shown: list[Shown] = []
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        audio = audio or AudioSpec()
        source = KeptAudio(audio, self._coming())
        self.session = ResumingSession(endpoint, Start(audio=audio), source, self.shown.append, rules=rules)

    async def _coming(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    def say(self, *pieces: bytes | None) -> None:
        """None: the end."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    def kinds(self) -> list[str]:
        """Without what depends on the engine."""
        told = (Started, FellBack, Resumed, Finished)
        return [type(message).__name__ for message in self.shown if isinstance(message, told)]

    def count(self, kind: type[object]) -> int:
        return sum(isinstance(message, kind) for message in self.shown)

    def has(self, kind: type[object], times: int) -> bool:
        return self.count(kind) == times


def has_heard(gateway: GatewayInProcess, sample: int) -> bool:
    """Whether an engine was sent the audio up to there."""
    return bool(gateway.pool.streams) and gateway.pool.last.end_sample > sample


def endpoint_of(
    gateway: GatewayInProcess, url: str, fallback_url: str | None, *, has_datagrams: bool = False
) -> Endpoint:
    choices = WebTransportChoices(
        CertificateHash.of(gateway.webtransport.certificate_sha256), has_datagrams=has_datagrams
    )
    return Endpoint(url, gateway.token(), TransportChoice.webtransport, choices, fallback_url=fallback_url)


@contextlib.asynccontextmanager
async def behind_a_relay(folder: Path) -> AsyncIterator[tuple[GatewayInProcess, UdpRelay, str]]:
    async with asyncio.timeout(90), running_gateway(folder, asyncio.get_running_loop()) as gateway:
        port = int(gateway.urls["webtransport"].split("/")[2].rpartition(":")[2])
        async with UdpRelay(port) as relay:
            yield gateway, relay, f"https://127.0.0.1:{relay.port}/v1/stream"


async def test_a_lost_connection_is_gone_on_with_over_websocket_where_udp_comes_through_no_more(
    tmp_path: Path,
) -> None:
    async with behind_a_relay(tmp_path) as (gateway, relay, url):
        talk = Talk(endpoint_of(gateway, url, gateway.websocket), replace(RULES, silent_ms=300, webtransport_ms=300))
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: talk.count(Started) == 1 and len(gateway.pool.last.audio) == len(PIECE))
        relay.swallow()
        talk.say(PIECE)
        await until(lambda: talk.count(Resumed) == 1)
        talk.say(PIECE, None)
        assert await running == Finished(300)
    assert talk.kinds() == ["Started", "Started", "FellBack", "Resumed", "Finished"]
    (resumed,) = (message for message in talk.shown if isinstance(message, Resumed))
    assert (resumed.at, resumed.from_sample) == (gateway.websocket, 0)
    assert [(f.start_ms, f.end_ms) for f in talk.shown if isinstance(f, FinalMessage)] == [(0, 300)]
    assert bytes(gateway.pool.last.audio) == PIECE * 3


@pytest.mark.parametrize("fallback", ["websocket", None])
async def test_a_gateway_that_answers_over_webtransport_is_gone_on_with_so(
    tmp_path: Path, fallback: str | None
) -> None:
    async with behind_a_relay(tmp_path) as (gateway, _, url):
        talk = Talk(endpoint_of(gateway, url, fallback and gateway.websocket))
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: talk.count(Started) == 1 and len(gateway.pool.last.audio) == len(PIECE))
        gateway.registry.end_all_now(Reason.draining)
        await until(lambda: talk.count(Resumed) == 1)
        talk.say(PIECE, None)
        assert await running == Finished(200)
    assert not talk.count(FellBack)
    assert [message.at for message in talk.shown if isinstance(message, Resumed)] == [url]
    assert bytes(gateway.pool.last.audio) == PIECE * 2


@pytest.mark.parametrize(
    "audio", [AudioSpec(), AudioSpec(sample_rate_hz=8_000, channels=2)], ids=["plain", "resampled"]
)
async def test_audio_in_datagrams_is_gone_on_with_from_its_own_first_sample(tmp_path: Path, audio: AudioSpec) -> None:
    """Places in datagrams begin anew with each connection, wherever in the session its audio begins."""
    async with behind_a_relay(tmp_path) as (gateway, _, url):
        talk = Talk(endpoint_of(gateway, url, None, has_datagrams=True), audio=audio)
        running = asyncio.create_task(talk.session.run())
        instants = audio.sample_rate_hz // 10
        pieces = [
            b"".join((at & 0x7FFF).to_bytes(2, "little") * audio.channels for at in range(first, first + instants))
            for first in range(0, 21 * instants, instants)
        ]
        for number in (1, 2):
            talk.say(*pieces[10 * (number - 1) : 10 * number])
            cut_sample = 16_000 * number - 6_001
            await until(partial(has_heard, gateway, cut_sample))
            gateway.pool.last.finalize(cut_sample)  # as an engine that found a pause
            await until(partial(talk.has, Ack, number))
            gateway.registry.end_all_now(Reason.draining)
            await until(partial(talk.has, Resumed, number))
        talk.say(pieces[20], None)
        assert await running == Finished(2_100)
    assert talk.count(AudioLost) == 0
    finals = [(f.start_ms, f.end_ms) for f in talk.shown if isinstance(f, FinalMessage)]
    assert finals == [(0, 624), (624, 1_624), (1_624, 2_100)]
    if audio == AudioSpec():
        assert bytes(gateway.pool.last.audio) == b"".join(pieces)[2 * 25_999 :]


@pytest.mark.parametrize("is_listening", [False, True], ids=["refused", "swallowed"])
async def test_where_udp_does_not_come_through_the_session_begins_over_websocket(
    tmp_path: Path, *, is_listening: bool
) -> None:
    async with behind_a_relay(tmp_path) as (gateway, relay, url):
        relay.swallow()
        where = url if is_listening else f"https://127.0.0.1:{free_port()}/v1/stream"
        talk = Talk(endpoint_of(gateway, where, gateway.websocket), replace(RULES, webtransport_ms=300))
        talk.say(PIECE, None)
        assert await talk.session.run() == Finished(100)
    assert talk.kinds() == ["FellBack", "Started", "Finished"]
    fell_back = talk.shown[0]
    assert isinstance(fell_back, FellBack)
    assert fell_back.at == gateway.websocket
    assert "cannot reach https://127.0.0.1:" in fell_back.why


async def test_a_session_that_is_let_in_and_never_answered_begins_over_websocket(tmp_path: Path) -> None:
    async with behind_a_relay(tmp_path) as (gateway, _, _), running_server(tmp_path, on_message=silent) as server:
        trust = CertificateHash.of(server.certificate_sha256)
        endpoint = replace(endpoint_of(gateway, server.url, gateway.websocket), webtransport=WebTransportChoices(trust))
        talk = Talk(endpoint)
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: bool(server.sessions) and len(server.last.messages) == 2)
        server.dies()
        talk.say(PIECE, None)
        assert await running == Finished(200)
    assert talk.kinds() == ["FellBack", "Started", "Finished"]
    assert bytes(gateway.pool.last.audio) == PIECE * 2


async def test_without_a_fall_back_it_fails_as_the_others_do(tmp_path: Path) -> None:
    async with asyncio.timeout(90), running_gateway(tmp_path, asyncio.get_running_loop()) as gateway:
        talk = Talk(endpoint_of(gateway, f"https://127.0.0.1:{free_port()}/v1/stream", None))
        with pytest.raises(ConnectionFailed, match="nobody listens") as failure:
            await talk.session.run()
    assert failure.value.exit_code is ExitCode.unavailable
    assert talk.shown == []


async def test_who_is_not_trusted_is_not_gone_round(tmp_path: Path) -> None:
    async with asyncio.timeout(90), running_gateway(tmp_path, asyncio.get_running_loop()) as gateway:
        endpoint = replace(
            endpoint_of(gateway, gateway.urls["webtransport"], gateway.websocket),
            webtransport=WebTransportChoices(CertificateHash.of("ab" * 32)),
        )
        talk = Talk(endpoint)
        with pytest.raises(ConnectionFailed, match="another hash"):
            await talk.session.run()
    assert talk.shown == []


async def test_a_session_that_policy_sends_elsewhere_goes_there_first(tmp_path: Path) -> None:
    async with (
        behind_a_relay(tmp_path) as (gateway, _, url),
        running_gateway(tmp_path, asyncio.get_running_loop()) as elsewhere,
    ):
        talk = Talk(endpoint_of(gateway, url, gateway.websocket))
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: talk.count(Started) == 1 and len(gateway.pool.last.audio) == len(PIECE))
        refusal = WrongRegion("by rule F01", ("grpc://there", elsewhere.websocket))
        for runner, _ in gateway.registry.sessions:
            runner.end_by_policy(refusal)
        await until(lambda: talk.count(Resumed) == 1)
        talk.say(None)
        assert isinstance(await running, Finished)
    (resumed,) = (message for message in talk.shown if isinstance(message, Resumed))
    assert resumed.at == elsewhere.websocket


@pytest.mark.parametrize("knows_elsewhere", [True, False], ids=["known", "unknown"])
async def test_a_session_that_is_sent_elsewhere_goes_on_over_webtransport_where_it_knows_the_certificate(
    tmp_path: Path, *, knows_elsewhere: bool
) -> None:
    states = tmp_path / "here", tmp_path / "elsewhere"  # each makes a certificate, and both take one key's tokens
    states[0].mkdir()
    create_or_load(states[0])
    shutil.copytree(*states)
    async with (
        behind_a_relay(states[0]) as (gateway, _, url),
        running_gateway(states[1], asyncio.get_running_loop()) as elsewhere,
    ):
        sha256s = [each.webtransport.certificate_sha256 for each in (gateway, elsewhere)]
        assert len(set(sha256s)) == 2
        trust = CertificateHash(tuple(sha256s if knows_elsewhere else sha256s[:1]))
        endpoint = replace(endpoint_of(gateway, url, gateway.websocket), webtransport=WebTransportChoices(trust))
        talk = Talk(endpoint)
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: talk.count(Started) == 1 and len(gateway.pool.last.audio) == len(PIECE))
        refusal = WrongRegion("by rule F01", (elsewhere.websocket, "grpc://there", elsewhere.urls["webtransport"]))
        for runner, _ in gateway.registry.sessions:
            runner.end_by_policy(refusal)
        await until(lambda: talk.count(Resumed) == 1)
        talk.say(None)
        assert isinstance(await running, Finished)
    (resumed,) = (message for message in talk.shown if isinstance(message, Resumed))
    assert resumed.at == elsewhere.urls["webtransport" if knows_elsewhere else "ws"]
    assert talk.count(FellBack) == (0 if knows_elsewhere else 1)


async def test_a_gateway_that_comes_back_late_is_gone_on_with_though_there_is_no_websocket_at_its_port(
    tmp_path: Path,
) -> None:
    """As of one that was killed and is started again: its first seconds are over before it listens."""
    async with behind_a_relay(tmp_path) as (gateway, relay, url):
        endpoint = endpoint_of(gateway, url, f"wss://127.0.0.1:{free_port()}/v1/stream")
        talk = Talk(endpoint, replace(RULES, silent_ms=300, webtransport_ms=1_500))
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: talk.count(Started) == 1 and len(gateway.pool.last.audio) == len(PIECE))
        relay.swallow()
        talk.say(PIECE)
        await until(lambda: talk.session._lost is not None and talk.session._lost.attempts > 6)
        relay.open()
        await until(lambda: talk.has(Resumed, 1))
        talk.say(None)
        assert await running == Finished(200)
    assert not talk.count(FellBack)
