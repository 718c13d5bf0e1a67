"""What every transport of the native protocol promises; each promise is tried over each of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from engines.interface import (
    Decoding,
    EndReason,
    FinalResult,
    Granted,
    Keyword,
    LossReason,
    Lost,
    PartialResult,
    ProfanityHandling,
    Progress,
    RedactionKind,
    RefusalReason,
    Refused,
    StreamOptions,
    TextOptions,
    Word,
)
from gateway.cli.connection import ConnectionFailed
from gateway.cli.exit_codes import ExitCode
from gateway.errors import Reason
from gateway.session_settings import SessionSettings
from gateway.wire.messages import (
    Ack,
    Audio,
    AudioLost,
    AudioSpec,
    Endpointing,
    ErrorMessage,
    Finalize,
    FinalMessage,
    Finish,
    Finished,
    Gap,
    KeepAlive,
    KeywordSpec,
    Migrated,
    PartialMessage,
    Start,
    Started,
    TextSpec,
    Usage,
    UtteranceEnd,
    WordMessage,
)
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.fakes.engine_pool import FakePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.cli.connection import Connection
    from gateway.wire.messages import ServerMessage

pytestmark = pytest.mark.integration

PCM_100_MS = b"\x01\x00" * 1_600
DEADLINE_S = 60.0


@pytest.fixture(params=["ws", "grpc", "webtransport"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.asynccontextmanager
async def gateway_with(state: Path, **options: Any) -> AsyncIterator[GatewayInProcess]:
    async with (
        asyncio.timeout(3 * DEADLINE_S),
        running_gateway(state, asyncio.get_running_loop(), **options) as gateway,
    ):
        yield gateway


@contextlib.asynccontextmanager
async def talking(gateway: GatewayInProcess, transport: str, token: str | None = None) -> AsyncIterator[Connection]:
    given = gateway.token() if token is None else token
    async with gateway.connect(transport, given) as connection:
        yield connection


async def all_messages(connection: Connection) -> list[ServerMessage]:
    async with asyncio.timeout(DEADLINE_S):
        return [message async for message in connection.messages()]


async def until(predicate: Any) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not predicate():
            await asyncio.sleep(0.005)


async def test_a_session_is_started_recognised_acknowledged_and_finished(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport) as client:
        for message in (Start(), Audio(PCM_100_MS), Audio(PCM_100_MS), Finish()):
            await client.send(message)
        started, *rest = await all_messages(client)
    assert isinstance(started, Started)
    assert (started.model, started.model_version, started.region) == ("fake", "v1", "here")
    assert rest == [
        FinalMessage("word", 0, 200, (WordMessage("word", 0, 200, 1.0),)),
        UtteranceEnd(200, "finish"),
        Ack(200, (), 3_200),
        Usage(200, 20),
        Finished(200),
    ]
    assert bytes(gateway.pool.last.audio) == PCM_100_MS * 2


async def test_finalize_is_confirmed_by_name_and_the_session_goes_on(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport) as client:
        for message in (Start(), Audio(PCM_100_MS), Finalize("a"), Audio(PCM_100_MS), Finalize("b"), Finish()):
            await client.send(message)
        heard = await all_messages(client)
    assert [message for message in heard if isinstance(message, Ack)] == [
        Ack(100, ("a",), 1_600),
        Ack(200, ("b",), 3_200),
    ]
    assert isinstance(heard[-1], Finished)
    assert [at_sample for at_sample, _ in gateway.pool.last.cuts] == [1_600, 3_200]


async def test_audio_that_was_lost_is_silence_of_its_length_and_is_told(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport) as client:
        for message in (Start(), Audio(PCM_100_MS), Gap(1_604), Audio(PCM_100_MS), Finish()):
            await client.send(message)
        heard = await all_messages(client)
    assert bytes(gateway.pool.last.audio) == PCM_100_MS + bytes(2 * 1_604) + PCM_100_MS
    assert [type(message) for message in heard[:2]] == [Started, AudioLost]
    assert heard[1] == AudioLost(100, 201)
    assert heard[-1] == Finished(300)


async def test_a_gap_in_a_container_is_refused_by_name(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport) as client:
        await client.send(Start(audio=AudioSpec("wav")))
        await client.send(Gap(1_600))
        refused = (await all_messages(client))[-1]
    assert isinstance(refused, ErrorMessage)
    assert (refused.reason, refused.retryable) == (Reason.unexpected_message, False)
    assert "no place in a stream of wav" in refused.message


async def test_options_of_the_start_reach_the_engine(tmp_path: Path, transport: str) -> None:
    start = Start(
        language="en",
        model="big",
        partials=False,
        endpointing=Endpointing(silence_ms=500, no_speech_ms=9_000),
        max_utterance_ms=5_000,
        audio=AudioSpec("mulaw", 8_000),
        model_version="v7",
        decoding="beam",
        keywords=(KeywordSpec("acme cloud", 1_500), KeywordSpec("um", -3_000)),
        text=TextSpec(numerals=True, punctuation=True, profanity="mask", redact=("card_number", "email")),
    )
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport, gateway.token(tenant="acme")) as client:
        await client.send(start)
        await client.send(Finish())
        await all_messages(client)
    opened = gateway.pool.last.opened
    options = opened.options
    assert opened.tenant == "acme"
    assert (options.language, options.model, options.wants_partials) == ("en", "big", False)
    assert (options.min_trailing_silence_ms, options.max_silence_without_speech_ms) == (500, 9_000)
    assert options.max_utterance_ms == 5_000
    assert (options.model_version, options.decoding) == ("v7", Decoding.beam)
    assert options.keywords == (Keyword("acme cloud", 1_500), Keyword("um", -3_000))
    assert options.text == TextOptions(
        numerals=True,
        punctuation=True,
        profanity=ProfanityHandling.mask,
        redact=(RedactionKind.card_number, RedactionKind.email),
    )


async def test_a_client_of_an_earlier_release_gets_what_it_got_then(tmp_path: Path, transport: str) -> None:
    """What it cannot say is off."""
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport) as client:
        await client.send(Start())
        await client.send(Finish())
        await all_messages(client)
    assert gateway.pool.last.opened.options == StreamOptions()


async def test_what_an_engine_will_not_do_reaches_the_client_in_its_words(tmp_path: Path, transport: str) -> None:
    pool = FakePool(is_obliging=False)
    async with gateway_with(tmp_path, pool=pool) as gateway, talking(gateway, transport) as client:
        await client.send(Start(decoding="beam"))
        await until(lambda: pool.streams)
        pool.last.say(Refused(1, RefusalReason.bad_options, detail="this model knows no beam"))
        heard = await all_messages(client)
    assert heard == [ErrorMessage(reason="bad_option", message="this model knows no beam", retryable=False)]
    assert next(iter(gateway.refusals()))[1] == "bad_option"


async def test_a_long_list_of_mistakes_comes_whole(tmp_path: Path, transport: str) -> None:
    """Over gRPC it is longer than a status may be."""
    wrong = tuple(KeywordSpec(f"\n{number}", 99_999) for number in range(100))
    start = Start(model="\n", decoding="x", keywords=wrong, text=TextSpec(profanity="x", redact=("x",)))
    async with gateway_with(tmp_path) as gateway:
        error = await refusal_of(gateway, transport, start)
    assert error.reason == "bad_option"
    assert len(error.message) > 1_000
    for option in ("model", "decoding", "keywords[19].phrase", "boost_permille", "text.profanity", "text.redact"):
        assert option in error.message


async def test_a_session_that_moves_says_which_version_goes_on(tmp_path: Path, transport: str) -> None:
    pool = FakePool(is_obliging=False)
    async with gateway_with(tmp_path, pool=pool) as gateway, talking(gateway, transport) as client:
        await client.send(Start())
        await client.send(Audio(PCM_100_MS))
        await until(lambda: pool.streams)
        pool.last.say(Granted(1, "m", "v", 80_000))
        await until(lambda: pool.last.audio)
        pool.last.say(Lost(1, LossReason.drained))
        await until(lambda: len(pool.streams) == 2)
        assert (pool.last.opened.options.model, pool.last.opened.options.model_version) == ("m", "v")
        pool.last.say(Granted(2, "m", "v", 80_000))
        moved = None
        async for message in client.messages():
            if isinstance(message, Migrated):
                moved = message
                break
    assert moved is not None
    assert (moved.reason, moved.replayed_ms, moved.model_version) == ("drained", 100, "v")


async def test_partials_keep_their_stable_prefix(tmp_path: Path, transport: str) -> None:
    pool = FakePool(is_obliging=False)
    async with gateway_with(tmp_path, pool=pool) as gateway, talking(gateway, transport) as client:
        await client.send(Start())
        await client.send(Audio(PCM_100_MS))
        await until(lambda: pool.streams)
        pool.last.say(Granted(1, "m", "v", 80_000))
        pool.last.say(PartialResult(1, 0, 1_600, "one tw", 4))
        heard = []
        async for message in client.messages():
            heard.append(message)
            if isinstance(message, PartialMessage):
                break
    assert heard[-1] == PartialMessage("one tw", 0, 100, 4)


async def test_the_loss_of_an_engine_is_a_pause_and_no_gap(tmp_path: Path, transport: str) -> None:
    pool = FakePool(is_obliging=False)
    async with gateway_with(tmp_path, pool=pool) as gateway, talking(gateway, transport) as client:
        for message in (Start(), Audio(PCM_100_MS), Audio(PCM_100_MS), Finish()):
            await client.send(message)
        await until(lambda: pool.streams)
        pool.last.say(Granted(1, "m", "v", 80_000))
        await until(lambda: pool.last.cuts)
        pool.last.say(FinalResult(1, 0, 1_600, "one", (Word("one", 0, 1_600, 1.0),), EndReason.pause_after_speech))
        pool.last.say(Lost(1, LossReason.link_lost))
        await until(lambda: len(pool.streams) == 2)
        assert pool.last.opened.start_sample == 1_600
        pool.last.say(Granted(2, "m", "v", 80_000))
        await until(lambda: pool.last.cuts)
        assert bytes(pool.last.audio) == PCM_100_MS
        pool.last.say(Progress(2, 3_200, 5))
        pool.last.say(FinalResult(2, 1_600, 3_200, "two", (Word("two", 1_600, 3_200, 1.0),), EndReason.finish))
        heard = await all_messages(client)
    assert [message.text for message in heard if isinstance(message, FinalMessage)] == ["one", "two"]
    assert [message.reason for message in heard if isinstance(message, Migrated)] == ["link_lost"]
    assert isinstance(heard[-1], Finished)


@pytest.mark.parametrize(
    ("start", "reason", "expected"),
    [
        (Start(audio=AudioSpec("pcm_s24le")), Reason.bad_audio_format, "pcm_s16le"),
        (Start(audio=AudioSpec(sample_rate_hz=96_000)), Reason.bad_audio_format, "8000 to 48000"),
        (Start(audio=AudioSpec(channels=2, channel=2)), Reason.bad_audio_format, "0 to 1"),
        (Start(endpointing=Endpointing(silence_ms=1)), Reason.bad_option, "200 to 10000"),
        (Start(max_utterance_ms=600_000), Reason.bad_option, "2000 to 30000"),
        (Start(endpointing=Endpointing(no_speech_ms=1)), Reason.bad_option, "1000 to 30000"),
        (Start(model_version="v\n"), Reason.bad_option, "model_version must be at most 128"),
        (Start(decoding="oracle"), Reason.bad_option, "one of greedy, beam"),
        (Start(keywords=(KeywordSpec(""),)), Reason.bad_option, "keywords[0].phrase must be 1 to 64"),
        (Start(keywords=(KeywordSpec("a", 10_001),)), Reason.bad_option, "-10000 to 10000"),
        (Start(text=TextSpec(profanity="shout")), Reason.bad_option, "one of keep, mask, remove"),
        (Start(text=TextSpec(redact=("shoe_size",))), Reason.bad_option, "card_number, phone_number, email"),
    ],
)
async def test_a_start_that_cannot_be_served_is_refused_with_what_was_expected(
    tmp_path: Path, transport: str, start: Start, reason: Reason, expected: str
) -> None:
    async with gateway_with(tmp_path) as gateway, talking(gateway, transport) as client:
        await client.send(start)
        heard = await all_messages(client)
        await until(lambda: gateway.refusals())
    assert len(heard) == 1
    assert isinstance(heard[0], ErrorMessage)
    assert heard[0].reason == reason.value
    assert expected in heard[0].message
    assert not heard[0].retryable
    assert next(iter(gateway.refusals()))[1] == reason.value


async def refusal_of(gateway: GatewayInProcess, transport: str, *messages: Any) -> ErrorMessage:
    async with talking(gateway, transport) as client:
        for message in messages:
            await client.send(message)
        heard = await all_messages(client)
    assert isinstance(heard[-1], ErrorMessage), heard
    return heard[-1]


async def test_the_first_message_must_be_a_start_and_none_after_it(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        for messages in ([Audio(PCM_100_MS)], [Finish()], [Start(), Start()]):
            error = await refusal_of(gateway, transport, *messages)
            assert error.reason == "unexpected_message"
        assert len(gateway.registry) == 0


async def test_a_misaligned_message_says_what_was_expected(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        error = await refusal_of(gateway, transport, Start(audio=AudioSpec(channels=2)), Audio(b"\x00" * 4_097))
    assert error.reason == "misaligned_audio"
    assert "4" in error.message


async def test_a_message_that_is_too_large_is_refused_by_name(tmp_path: Path, transport: str) -> None:
    settings = SessionSettings(max_message_bytes=4_096, max_waiting_bytes=65_536)
    async with gateway_with(tmp_path, sessions=settings) as gateway:
        error = await refusal_of(gateway, transport, Start(), Audio(b"\x00" * 5_000))
        await until(lambda: len(gateway.registry) == 0)
    assert error.reason == "message_too_large"


async def test_bytes_that_are_no_audio_are_refused_by_name(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        error = await refusal_of(
            gateway, transport, Start(audio=AudioSpec("flac")), Audio(b"not flac" * 20_000), Finish()
        )
    assert error.reason == "undecodable_audio"


async def test_a_token_that_proves_nobody_opens_nothing(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        good = gateway.token()
        for bad in (good[:-4] + "AAAA", "nonsense", gateway.token(scopes=("other",))):
            with pytest.raises(ConnectionFailed) as failure:  # noqa: PT012  # connecting and reading both may raise
                async with talking(gateway, transport, bad) as client:
                    await client.send(Start())
                    heard = await all_messages(client)
                    assert isinstance(heard[-1], ErrorMessage)
                    raise ConnectionFailed(heard[-1].reason, ExitCode.not_permitted)
            assert failure.value.exit_code is ExitCode.not_permitted
        assert gateway.pool.streams == []


async def test_a_token_may_come_with_the_start_instead(tmp_path: Path) -> None:
    import aiohttp

    async with gateway_with(tmp_path) as gateway, aiohttp.ClientSession() as http:
        async with http.ws_connect(gateway.websocket) as socket:
            await socket.send_json({"type": "start", "token": gateway.token()})
            assert (await socket.receive_json())["type"] == "started"
        async with http.ws_connect(gateway.websocket) as socket:
            await socket.send_json({"type": "start"})
            assert (await socket.receive_json())["reason"] == "token_missing"
            closed = await socket.receive()
            assert (closed.data, closed.extra) == (4401, "token_missing")


async def test_one_session_more_than_may_be_is_told_to_come_again(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path, max_sessions=1) as gateway, talking(gateway, transport) as first:
        await first.send(Start())
        await until(lambda: len(gateway.registry) == 1)
        with pytest.raises(ConnectionFailed) as failure:  # noqa: PT012
            async with talking(gateway, transport) as second:
                await second.send(Start())
                heard = await all_messages(second)
                assert isinstance(heard[-1], ErrorMessage)
                assert heard[-1].retryable
                raise ConnectionFailed(heard[-1].reason, ExitCode.unavailable)
        assert "too_many_sessions" in str(failure.value)
        await first.send(Finish())
        assert isinstance((await all_messages(first))[-1], Finished)
        await until(lambda: len(gateway.registry) == 0)
        async with talking(gateway, transport) as third:
            await third.send(Start())
            await third.send(Finish())
            assert isinstance((await all_messages(third))[-1], Finished)


async def test_a_client_that_says_nothing_is_sent_away_in_time(tmp_path: Path, transport: str) -> None:
    settings = SessionSettings(handshake_timeout_ms=50)
    async with gateway_with(tmp_path, sessions=settings) as gateway, talking(gateway, transport) as client:
        heard = await all_messages(client)
    assert [message.reason for message in heard if isinstance(message, ErrorMessage)] == ["handshake_timeout"]


async def test_an_idle_session_ends_and_a_keepalive_holds_it(tmp_path: Path, transport: str) -> None:
    settings = SessionSettings(idle_timeout_ms=1_000)
    async with gateway_with(tmp_path, sessions=settings) as gateway, talking(gateway, transport) as client:
        sweeping = asyncio.create_task(gateway.registry.sweep_for_ever())
        await client.send(Start())
        began_s = asyncio.get_running_loop().time()
        for _ in range(8):
            await asyncio.sleep(0.2)
            await client.send(KeepAlive())
        heard = await all_messages(client)
        lasted_s = asyncio.get_running_loop().time() - began_s
        sweeping.cancel()
    assert isinstance(heard[-1], ErrorMessage)
    assert heard[-1].reason == "idle_timeout"
    assert lasted_s >= 8 * 0.2 + 0.8


async def test_a_client_that_leaves_frees_everything(tmp_path: Path, transport: str) -> None:
    pool = FakePool(is_obliging=False)
    async with gateway_with(tmp_path, pool=pool) as gateway:
        async with talking(gateway, transport) as client:
            await client.send(Start())
            await client.send(Audio(PCM_100_MS))
            await until(lambda: pool.streams)
        await until(lambda: len(gateway.registry) == 0)
        assert pool.last.is_cancelled
        assert gateway.refusals() == {({"ws": "websocket"}.get(transport, transport), "client_gone"): 1.0}


async def test_a_flood_waits_for_the_engine_and_loses_nothing(tmp_path: Path, transport: str) -> None:
    """The engine takes its window and then nothing: the gateway holds a bounded amount and stops reading."""
    settings = SessionSettings(held_audio_ms=20_000, max_utterance_ms=4_000, default_utterance_ms=4_000)
    pool = FakePool(is_obliging=False)
    flood = [bytes([number, 1]) * 16_000 for number in range(120)]
    async with gateway_with(tmp_path, pool=pool, sessions=settings) as gateway, talking(gateway, transport) as client:
        await client.send(Start())
        await until(lambda: pool.streams)
        stream = pool.last
        stream.say(Granted(1, "m", "v", 80_000))

        async def send_all() -> None:
            for piece in flood:
                await client.send(Audio(piece))
            await client.send(Finish())

        sending = asyncio.create_task(send_all())
        await until(lambda: stream.end_sample == 80_000)
        await asyncio.sleep(0.3)
        figures = gateway.registry.figures()
        assert figures.held_samples <= 20_000 * 16
        assert figures.waiting_bytes <= settings.max_waiting_bytes
        reading = asyncio.create_task(all_messages(client))
        committed = 0
        async with asyncio.timeout(DEADLINE_S):
            while committed < 120 * 16_000:
                if stream.end_sample == committed:
                    await asyncio.sleep(0.002)
                    continue
                stream.say(Progress(1, stream.end_sample, 1))
                start, committed = committed, stream.end_sample
                stream.say(FinalResult(1, start, committed, "", (), EndReason.finish))
        heard = await reading
        await sending
    assert bytes(stream.audio) == b"".join(flood)
    assert isinstance(heard[-1], Finished)


async def test_a_draining_gateway_refuses_newcomers_as_retryable(tmp_path: Path, transport: str) -> None:
    async with gateway_with(tmp_path) as gateway:
        gateway.reception.close()
        with pytest.raises(ConnectionFailed) as failure:  # noqa: PT012
            async with talking(gateway, transport) as client:
                await client.send(Start())
                heard = await all_messages(client)
                assert isinstance(heard[-1], ErrorMessage)
                assert heard[-1].retryable
                raise ConnectionFailed(heard[-1].reason, ExitCode.unavailable)
        assert "draining" in str(failure.value)
