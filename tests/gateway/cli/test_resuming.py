"""Our own client goes on where its connection broke, at the gateway that answers, and shows each word once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.admission.carriers import RESUME_HEADER
from gateway.cli.audio_source import KeptAudio
from gateway.cli.connection import ConnectionFailed, TransportChoice, connect
from gateway.cli.exit_codes import ExitCode
from gateway.cli.resuming import Endpoint, Resumed, ResumeRules, ResumingSession, owed_within_ms
from gateway.errors import Reason, WrongRegion
from gateway.wire.codec import encode_server
from gateway.wire.messages import (
    Ack,
    AudioSpec,
    Endpointing,
    ErrorMessage,
    FinalMessage,
    Finished,
    Resume,
    Start,
    Started,
)
from gateway.wire.refusal import error_message
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.fakes.engine_pool import FakePool, FakeStream, LossReason, Lost
from tests.harness.ports import free_port
from tests.harness.tcp_relay import TcpRelay
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from engines.interface import OpenStream, StreamEvent
    from gateway.wire.messages import ServerMessage

pytestmark = pytest.mark.integration

PIECE = b"\x01\x00" * 1_600
RULES = ResumeRules(first_delay_ms=20, max_delay_ms=100, give_up_ms=30_000, open_ms=10_000)


@pytest.fixture(params=["ws", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Conversation:
    """A session whose audio the test gives; `end` when it is over."""

    def __init__(self, url: str, token: str, transport: str, rules: ResumeRules) -> None:
        self.shown: list[ServerMessage | Resumed] = []
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        endpoint = Endpoint(url, token, protocol=TransportChoice(transport))
        source = KeptAudio(AudioSpec(), self._coming())
        self.session = ResumingSession(endpoint, Start(), source, self.shown.append, rules=rules)

    async def _coming(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    def say(self, *pieces: bytes | None) -> None:
        """None: the end."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    def count(self, kind: type[object]) -> int:
        return sum(isinstance(message, kind) for message in self.shown)

    def has(self, kind: type[object]) -> bool:
        return any(isinstance(message, kind) for message in self.shown)


def address(transport: str, port: int) -> str:
    return f"ws://127.0.0.1:{port}/v1/stream" if transport == "ws" else f"grpc://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def behind_a_relay(
    state: Path, transport: str, pool: FakePool | None = None
) -> AsyncIterator[tuple[GatewayInProcess, TcpRelay, str]]:
    async with running_gateway(state, asyncio.get_running_loop(), pool=pool) as gateway:
        port = int(gateway.urls[transport].split("/")[2 if transport == "ws" else 0].rpartition(":")[2])
        async with TcpRelay(port) as relay:
            yield gateway, relay, address(transport, relay.port)


async def test_a_connection_that_is_cut_is_gone_on_with(tmp_path: Path, transport: str) -> None:
    """Twice, and the client hears one transcript."""
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport) as (gateway, relay, url):
        talk = Conversation(url, gateway.token(), transport, RULES)
        running = asyncio.create_task(talk.session.run())
        for number in range(1, 3):
            talk.say(PIECE)
            await until(lambda n=number: talk.count(Started) == n and len(gateway.pool.last.audio) == n * len(PIECE))  # type: ignore[misc]
            relay.cut()
            await until(lambda n=number: talk.count(Resumed) == n)  # type: ignore[misc]
        talk.say(PIECE, None)
        assert await running == Finished(300)
    resumed = [message for message in talk.shown if isinstance(message, Resumed)]
    assert [(each.at, each.region, each.from_sample) for each in resumed] == [(url, "here", 0)] * 2
    assert len({message.session_id for message in talk.shown if isinstance(message, Started)}) == 1
    assert [(f.start_ms, f.end_ms) for f in talk.shown if isinstance(f, FinalMessage)] == [(0, 300)]
    assert bytes(gateway.pool.last.audio) == PIECE * 3


async def test_a_gateway_that_falls_silent_is_taken_for_lost(tmp_path: Path, transport: str) -> None:
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport) as (gateway, relay, url):
        talk = Conversation(url, gateway.token(), transport, replace(RULES, silent_ms=300))
        running = asyncio.create_task(talk.session.run())
        await until(lambda: talk.has(Started))
        relay.swallow()
        talk.say(PIECE)
        await asyncio.sleep(0.5)
        relay.open()
        await until(lambda: talk.has(Resumed))
        talk.say(PIECE, None)
        assert await running == Finished(200)


async def test_silence_is_no_loss_while_nothing_is_said(tmp_path: Path, transport: str) -> None:
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport) as (gateway, _, url):
        talk = Conversation(url, gateway.token(), transport, ResumeRules(silent_ms=50))
        running = asyncio.create_task(talk.session.run())
        await until(lambda: talk.has(Started))
        await asyncio.sleep(0.3)
        assert not talk.has(Resumed)
        talk.say(None)
        assert await running == Finished(0)


def test_who_asks_for_long_silence_waits_longer() -> None:
    rules = ResumeRules(silent_ms=30_000)
    assert owed_within_ms(Start(), rules) == 30_000
    assert owed_within_ms(Start(max_utterance_ms=60_000), rules) == 30_000  # there are partials
    assert owed_within_ms(Start(endpointing=Endpointing(no_speech_ms=30_000)), rules) == 45_000
    assert owed_within_ms(Start(partials=False), rules) == 45_000
    assert owed_within_ms(Start(partials=False, max_utterance_ms=60_000), rules) == 75_000


@pytest.mark.parametrize("is_on", [True, False])
async def test_what_cannot_be_gone_on_with_fails_as_it_does_without(
    tmp_path: Path, transport: str, *, is_on: bool
) -> None:
    rules = ResumeRules(is_on=is_on, first_delay_ms=10, max_delay_ms=50, give_up_ms=200, open_ms=200)
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport) as (gateway, relay, url):
        talk = Conversation(url, gateway.token(), transport, rules)
        running = asyncio.create_task(talk.session.run())
        await until(lambda: talk.has(Started))
        relay.refuse()
        with pytest.raises(ConnectionFailed) as failure:
            await running
    assert failure.value.exit_code in (ExitCode.protocol_broken, ExitCode.unavailable)
    assert not talk.has(Resumed)


async def test_a_session_that_never_began_is_not_tried_again(transport: str) -> None:
    talk = Conversation(address(transport, free_port()), "token", transport, RULES)
    async with asyncio.timeout(60):
        with pytest.raises(ConnectionFailed) as failure:
            await talk.session.run()
    assert failure.value.exit_code is ExitCode.unavailable


async def test_a_refusal_that_is_the_clients_own_ends_it(tmp_path: Path, transport: str) -> None:
    """Its token ends in the meantime: another gateway would say the same."""
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport) as (gateway, _, url):
        talk = Conversation(url, "eyJ.no.token", transport, RULES)
        outcome: object
        try:
            outcome = await talk.session.run()
        except ConnectionFailed as failed:
            outcome = failed.exit_code
        assert outcome is ExitCode.not_permitted or isinstance(outcome, ErrorMessage)
        assert len(gateway.pool.streams) == 0


class _DeadlyPool(FakePool):
    """Its engines die of any audio."""

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> FakeStream:
        opened = super().open(stream, on_event)
        opened.send_audio = lambda _pcm16: asyncio.get_running_loop().call_soon(  # type: ignore[method-assign]
            opened.say, Lost(stream.epoch, LossReason.link_lost)
        )
        return opened


async def test_audio_that_kills_engines_is_not_carried_on_for_ever(tmp_path: Path, transport: str) -> None:
    """The gateway ends such a session as one that could be tried again; a client must not go on killing for it."""
    pool = _DeadlyPool()
    async with asyncio.timeout(60), running_gateway(tmp_path, asyncio.get_running_loop(), pool=pool) as gateway:
        talk = Conversation(gateway.urls[transport], gateway.token(), transport, RULES)
        talk.say(PIECE)
        end = await talk.session.run()
    assert isinstance(end, ErrorMessage)
    assert end.reason == Reason.engine_unavailable
    assert talk.shown[-1] == end
    assert talk.count(Resumed) == 2
    assert talk.count(Started) == 3


class _StallingPool(FakePool):
    """Grants nothing while it is told so."""

    is_stalled = False

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> FakeStream:
        if not self.is_stalled:
            return super().open(stream, on_event)
        self.streams.append(FakeStream(stream, on_event))
        return self.streams[-1]


async def test_a_session_taken_up_late_for_a_left_attempt_is_taken_back_and_from_another_client_it_is_not(
    tmp_path: Path, transport: str
) -> None:
    pool = _StallingPool()
    rules = replace(RULES, open_ms=300)
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport, pool) as (gateway, relay, url):
        talk = Conversation(url, gateway.token(), transport, rules)
        running = asyncio.create_task(talk.session.run())
        await until(lambda: talk.has(Started))
        (started,) = (message for message in talk.shown if isinstance(message, Started))
        pool.is_stalled = True
        relay.cut()
        await until(lambda: len(pool.streams) == 2)
        pool.is_stalled = False
        await until(lambda: talk.count(Resumed) == 1)
        again = Start(resume=Resume(token=started.resume_token, from_sample=0))
        while not running.done():
            heard = talk.count(Resumed)
            async with connect(url, gateway.token(), protocol=TransportChoice(transport)) as other:
                await other.send(again)
                await until(lambda n=heard: running.done() or talk.count(Resumed) > n)  # type: ignore[misc]
    ended = running.result()
    assert isinstance(ended, ErrorMessage)
    assert ended.reason == Reason.resumed_elsewhere
    assert talk.count(Resumed) == 2


async def test_a_request_that_was_given_up_may_take_the_session_later(tmp_path: Path) -> None:
    """A gateway that stood still reads the requests of attempts that were left, and takes the session up for each."""
    starts: list[bool] = []
    started = Started(session_id="s", model="m", model_version="v", region="here", protocol_version=1, resume_token="r")

    async def stands_still_once(request: web.Request) -> web.StreamResponse:
        starts.append(RESUME_HEADER in request.headers)
        if len(starts) == 2:
            await asyncio.Event().wait()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(encode_server(started))
        if len(starts) == 3:
            await socket.send_str(encode_server(error_message(Reason.resumed_elsewhere)))
        if len(starts) == 4:
            await socket.send_str(encode_server(Finished(100)))
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/stream", stands_still_once)
    async with TestServer(app) as server:
        talk = Conversation(f"ws://127.0.0.1:{server.port}/v1/stream", "token", "ws", replace(RULES, open_ms=500))
        talk.say(PIECE, None)
        async with asyncio.timeout(60):
            assert await talk.session.run() == Finished(100)
    assert starts == [False, True, True, True]


async def test_a_session_that_was_shed_says_why_and_goes_on_when_it_may(tmp_path: Path) -> None:
    """Not before: until then the slot is another's."""
    async with asyncio.timeout(60), running_gateway(tmp_path, asyncio.get_running_loop()) as gateway:
        talk = Conversation(gateway.urls["ws"], gateway.token(), "ws", RULES)
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: bool(gateway.pool.streams) and bool(gateway.pool.last.audio))
        gateway.registry.end_all_after_utterance(Reason.capacity_shed)
        await until(lambda: talk.has(Resumed))
        talk.say(None)
        assert await running == Finished(100)
    told = [message for message in talk.shown if isinstance(message, ErrorMessage | Resumed)]
    assert isinstance(told[0], ErrorMessage)
    assert isinstance(told[1], Resumed)
    assert (told[0].reason, told[0].retry_after_ms, len(told)) == ("capacity_shed", 2_000, 2)
    assert told[1].pause_elapsed_ms >= 2_000


async def test_an_ack_lets_the_audio_before_it_go(tmp_path: Path, transport: str) -> None:
    async with asyncio.timeout(60), behind_a_relay(tmp_path, transport) as (gateway, relay, url):
        talk = Conversation(url, gateway.token(), transport, RULES)
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: bool(gateway.pool.streams) and bool(gateway.pool.last.audio))
        gateway.pool.last.finalize(1_600)  # as an engine that found a pause
        await until(lambda: talk.has(Ack))
        relay.cut()
        await until(lambda: talk.has(Resumed))
        talk.say(PIECE, None)
        assert await running == Finished(200)
    assert next(message for message in talk.shown if isinstance(message, Resumed)).from_sample == 1_600
    assert [(f.start_ms, f.end_ms) for f in talk.shown if isinstance(f, FinalMessage)] == [(0, 100), (100, 200)]
    assert bytes(gateway.pool.last.audio) == PIECE


async def test_a_session_that_policy_sends_elsewhere_goes_on_there(tmp_path: Path, transport: str) -> None:
    async with (
        asyncio.timeout(60),
        behind_a_relay(tmp_path, transport) as (here, _, url),
        running_gateway(tmp_path, asyncio.get_running_loop()) as there,
    ):
        talk = Conversation(url, here.token(), transport, RULES)
        running = asyncio.create_task(talk.session.run())
        talk.say(PIECE)
        await until(lambda: here.pool.streams and len(here.pool.last.audio) == len(PIECE))
        gateways = (there.websocket, f"grpc://{there.grpc}")
        for runner, _ in here.registry.sessions:
            runner.end_by_policy(WrongRegion("by rule F01", gateways))
        talk.say(PIECE, None)
        assert isinstance(await running, Finished)
        assert len(here.pool.last.audio) == len(PIECE)
        assert len(there.pool.last.audio) == len(PIECE), "what became final here is not said again"
        assert not talk.has(ErrorMessage)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def test_a_gateway_that_falls_silent_is_left_though_the_one_before_let_audio_wait() -> None:
    """What one gateway said of the plan's credit says nothing of the next."""
    talks = 0

    async def talk_with(request: web.Request) -> web.StreamResponse:
        nonlocal talks
        talks += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_str()
        known = {"session_id": "s", "model": "m", "model_version": "v", "region": "here", "protocol_version": 1}
        await socket.send_json({"type": "started", **known, "resume_token": "r"})
        if talks == 1:
            await socket.send_json({"type": "usage", "audio_ms": 0, "compute_us": 0, "is_throttled": True})
        elif talks == 2:
            while not (await socket.receive(timeout=10)).type.name.startswith("CLOS"):
                """It takes all, and says nothing to it."""
        else:
            await socket.send_json({"type": "finished", "audio_ms": 0})
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/stream", talk_with)
    async with asyncio.timeout(60), TestServer(app) as server:
        talk = Conversation(str(server.make_url("")), "t", "ws", replace(RULES, silent_ms=300))
        talk.say(PIECE, None)
        assert await talk.session.run() == Finished(0)
    assert talks == 3
