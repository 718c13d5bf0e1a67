"""What WebTransport promises beyond what every transport does: its close, its one stream, its datagrams, its pages."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from gateway.admission.settings import AddressSettings
from gateway.session_settings import SessionSettings
from gateway.webtransport.client.errors import RefusedByStatus
from gateway.webtransport.client.session import End
from gateway.webtransport.interface import Draft
from gateway.wire import codec
from gateway.wire.audio_datagrams import encode_datagram, encode_mark
from gateway.wire.messages import (
    Ack,
    Audio,
    AudioLost,
    AudioSpec,
    ErrorMessage,
    Finalize,
    Finish,
    Finished,
    Start,
    Started,
)
from gateway.wire.stream_messages import AUDIO, MARK, TEXT, encode
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.harness.http3_client import ask_over_http3
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.webtransport.client.session import ClientSession
    from gateway.wire.codec import TextMessage
    from gateway.wire.messages import ServerMessage

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0
SAMPLES = 320
PIECES = [bytes([number, 1]) * SAMPLES for number in range(1, 9)]
"""20 ms each."""


@contextlib.asynccontextmanager
async def gateway_with(state: Path, **options: Any) -> AsyncIterator[GatewayInProcess]:
    async with (
        asyncio.timeout(3 * DEADLINE_S),
        running_gateway(state, asyncio.get_running_loop(), **options) as gateway,
    ):
        yield gateway


def bearer(gateway: GatewayInProcess) -> dict[str, str]:
    return {"authorization": f"Bearer {gateway.token()}"}


async def say(session: ClientSession, *messages: TextMessage) -> None:
    for message in messages:
        await session.send(TEXT, codec.encode_client(message).encode())


async def heard_by(session: ClientSession) -> list[ServerMessage]:
    """To the end of the session."""
    async with asyncio.timeout(DEADLINE_S):
        return [codec.decode_server(payload) async for _, payload in session.messages()]


# --- the session --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draft", Draft)
async def test_a_session_of_every_draft_ends_with_code_and_reason(tmp_path: Path, draft: Draft) -> None:
    async with gateway_with(tmp_path) as gateway:
        async with gateway.webtransport.open(bearer(gateway), draft=draft) as session:
            await say(session, Start())
            await session.send(AUDIO, PIECES[0])
            await say(session, Finish())
            heard = await heard_by(session)
            assert session.ended is not None
            assert (session.ended.how, session.close_code, session.close_reason) == (End.closed, 1_000, "finished")
        assert heard[-1] == Finished(20)
        await until(lambda: gateway.webtransport.edge.sessions == 0)


async def test_a_token_may_come_in_the_query_or_with_the_start(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway:
        token = gateway.token()
        for query, start in ((f"?token={token}", Start()), ("", Start(token=token))):
            async with gateway.webtransport.open(query=query) as session:
                await say(session, start, Finish())
                assert (await heard_by(session))[-1] == Finished(0)
        async with gateway.webtransport.open() as session:
            await say(session, Start())
            (error,) = await heard_by(session)
            assert isinstance(error, ErrorMessage)
            assert (error.reason, session.close_code, session.close_reason) == ("token_missing", 4401, "token_missing")


async def test_a_finish_may_be_followed_by_the_end_of_the_stream(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway, gateway.webtransport.open(bearer(gateway)) as session:
        await say(session, Start(), Finish())
        session.finish_sending()
        assert (await heard_by(session))[-1] == Finished(0)
        assert session.close_reason == "finished"


async def test_the_end_of_the_stream_without_a_finish_is_a_client_that_is_gone(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway, gateway.webtransport.open(bearer(gateway)) as session:
        await say(session, Start())
        await until(lambda: len(gateway.registry) == 1)
        session.finish_sending()
        await heard_by(session)
        assert (session.close_code, session.close_reason) == (1_001, "client_gone")
        await until(lambda: gateway.refusals() == {("webtransport", "client_gone"): 1.0})


async def test_a_client_that_closes_the_session_leaves_nothing_behind(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway:
        async with gateway.webtransport.open(bearer(gateway)) as session:
            await say(session, Start())
            await until(lambda: len(gateway.registry) == 1)
            session.close(7, "enough")
        await until(lambda: gateway.refusals() == {("webtransport", "client_gone"): 1.0})
        await until(lambda: gateway.webtransport.edge.sessions == 0)


@pytest.mark.parametrize(
    ("data", "reason", "code"),
    [
        (b"\x63\x00\x00\x00", "malformed_message", 4_400),
        (encode(TEXT, b"{}")[:-1], "malformed_message", 4_400),
        (encode(TEXT, b"\xff\xfe"), "malformed_message", 4_400),
        (encode(TEXT, b'{"type": "audio"}'), "malformed_message", 4_400),
        (encode(MARK, b""), "malformed_message", 4_400),
        (encode(AUDIO, bytes(10_000)), "message_too_large", 1_009),
    ],
)
async def test_what_is_no_message_is_refused_by_name(tmp_path: Path, data: bytes, reason: str, code: int) -> None:
    settings = SessionSettings(max_message_bytes=4_096, max_waiting_bytes=65_536)
    async with (
        gateway_with(tmp_path, sessions=settings) as gateway,
        gateway.webtransport.open(bearer(gateway)) as session,
    ):
        await say(session, Start())
        await session.send_bytes(data)
        session.finish_sending()
        error = (await heard_by(session))[-1]
        assert isinstance(error, ErrorMessage)
        assert (error.reason, error.retryable, session.close_code) == (reason, False, code)
        await until(lambda: len(gateway.registry) == 0)


async def test_a_session_has_one_stream(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway, gateway.webtransport.open(bearer(gateway)) as session:
        await say(session, Start())
        second = session.quic.get_next_available_stream_id()
        session.quic.send_stream_data(second, b"\x40\x41\x00" + encode(TEXT, b"{}"))
        await say(session, Finish())
        assert (await heard_by(session))[-1] == Finished(0)
        assert session.close_reason == "finished"


async def test_a_gateway_that_is_gone_ends_sessions_as_one_that_may_be_tried_again(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway, gateway.webtransport.open(bearer(gateway)) as session:
        await say(session, Start())
        await until(lambda: len(gateway.registry) == 1)
        await gateway.webtransport.cut_hop()
        error = (await heard_by(session))[-1]
        assert isinstance(error, ErrorMessage)
        assert (error.reason, error.retryable, session.close_code) == ("draining", True, 1_012)
        assert session.close_reason == "draining; retry_after_ms=100"


# --- who may come in ----------------------------------------------------------------------------------------------


async def test_only_pages_of_the_given_origins_may_open_sessions(tmp_path: Path) -> None:
    ours = ("https://app.example",)
    async with gateway_with(tmp_path, webtransport={"origins": ours}) as gateway:
        for headers in (bearer(gateway), bearer(gateway) | {"origin": ours[0]}):
            async with gateway.webtransport.open(headers) as session:
                await say(session, Start(), Finish())
                assert (await heard_by(session))[-1] == Finished(0)
        with pytest.raises(RefusedByStatus) as refused:
            async with gateway.webtransport.open(bearer(gateway) | {"origin": "https://evil.example"}):
                pass
        assert refused.value.status == 403


async def test_a_process_that_is_full_or_going_says_so_before_there_is_a_session(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, webtransport={"max_sessions_per_process": 1}) as gateway:
        async with gateway.webtransport.open(bearer(gateway)) as session:
            await say(session, Start())
            with pytest.raises(RefusedByStatus) as refused:
                async with gateway.webtransport.open(bearer(gateway)):
                    pass
            assert refused.value.status == 503
            await say(session, Finish())
            assert (await heard_by(session))[-1] == Finished(0)
        await until(lambda: gateway.webtransport.edge.sessions == 0)
        async with gateway.webtransport.open(bearer(gateway)) as session:
            await say(session, Start(), Finish())
            assert (await heard_by(session))[-1] == Finished(0)


async def test_no_client_can_say_from_which_address_it_comes(tmp_path: Path) -> None:
    settings = AddressSettings(handshakes_per_minute=1, handshake_burst=1, exempt_networks=())
    async with gateway_with(tmp_path, addresses=settings) as gateway:
        reasons = []
        for number in range(2):
            headers = bearer(gateway) | {"patchbay-peer-address": f"192.0.2.{number}"}
            async with gateway.webtransport.open(headers) as session:
                await say(session, Start(), Finish())
                heard = await heard_by(session)
            reasons.append([message.reason for message in heard if isinstance(message, ErrorMessage)])
        assert reasons == [[], ["address_limited"]]


async def test_nobody_but_an_edge_process_is_believed_about_addresses(tmp_path: Path) -> None:
    settings = AddressSettings(handshakes_per_minute=1, handshake_burst=1, exempt_networks=())
    async with gateway_with(tmp_path, addresses=settings) as gateway, aiohttp.ClientSession() as http:
        statuses = []
        for number in range(2):
            headers = {"Authorization": "Basic nonsense", "Patchbay-Peer-Address": f"192.0.2.{number}"}
            async with http.get(gateway.websocket.replace("ws://", "http://"), headers=headers) as response:
                statuses.append(response.status)
        assert statuses == [401, 429]


# --- datagrams ----------------------------------------------------------------------------------------------------


async def test_audio_in_datagrams_is_recognised_as_audio_on_the_stream(tmp_path: Path) -> None:
    async with (
        gateway_with(tmp_path) as gateway,
        gateway.connect("webtransport", gateway.token(), has_datagrams=True) as client,
    ):
        for message in (Start(), *map(Audio, PIECES), Finalize("a"), *map(Audio, PIECES), Finish()):
            await client.send(message)
        async with asyncio.timeout(DEADLINE_S):
            heard = [message async for message in client.messages()]
        assert bytes(gateway.pool.last.audio) == b"".join(PIECES) * 2
        assert [message.audio_ms for message in heard if isinstance(message, Ack)] == [160, 320]
        assert heard[-1] == Finished(320)


async def test_what_datagrams_lose_is_silence_of_its_length_and_is_told(tmp_path: Path) -> None:
    """Of eight, the third never comes, the sixth comes before the fifth, the seventh twice and the eighth is lost."""
    lost = {2, 7}
    async with gateway_with(tmp_path, webtransport={"reorder_ms": 50}) as gateway:
        async with gateway.webtransport.open(bearer(gateway)) as session:
            await say(session, Start())
            for number in (0, 1, 3, 5, 4, 6, 6):
                assert session.send_datagram(encode_datagram(number, number * SAMPLES, PIECES[number]))
            await session.send(MARK, encode_mark(8, 8 * SAMPLES))
            await say(session, Finish())
            heard = await heard_by(session)
        sent = [bytes(2 * SAMPLES) if number in lost else piece for number, piece in enumerate(PIECES)]
        assert bytes(gateway.pool.last.audio) == b"".join(sent)
        assert [message for message in heard if isinstance(message, AudioLost)] == [
            AudioLost(40, 60),
            AudioLost(140, 160),
        ]
        assert heard[-1] == Finished(160)
        counts = gateway.webtransport.registry.get_sample_value
        assert counts("patchbay_webtransport_gaps_total") == 2
        assert counts("patchbay_webtransport_lost_audio_seconds_total") == pytest.approx(0.04)
        assert counts("patchbay_webtransport_datagrams_total", {"fate": "doubled"}) == 1


async def test_a_container_in_datagrams_is_refused_by_name(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway, gateway.webtransport.open(bearer(gateway)) as session:
        await say(session, Start(audio=AudioSpec("flac")))
        session.send_datagram(encode_datagram(0, 0, b"fLaC"))
        error = (await heard_by(session))[-1]
        assert isinstance(error, ErrorMessage)
        assert (error.reason, session.close_code) == ("unexpected_message", 4_409)
        assert "raw or `opus`" in error.message


# --- pages --------------------------------------------------------------------------------------------------------


async def test_public_pages_are_answered_over_http3_too(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway:
        pages = gateway.webtransport.url.removesuffix("/v1/stream")
        regions = await ask_over_http3(f"{pages}/v1/regions")
        assert (regions.status, regions.headers["content-type"]) == (200, "application/json; charset=utf-8")
        assert b'"here": "here"' in regions.body
        head = await ask_over_http3(f"{pages}/v1/regions", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert (await ask_over_http3(f"{pages}/none")).status == 404
        assert (await ask_over_http3(f"{pages}/metrics")).status == 404, "which is for administrators"
        assert (await ask_over_http3(f"{pages}/v1/regions", method="DELETE")).status == 405
        refused = await ask_over_http3(f"{pages}/v1/stream", headers={"authorization": "Bearer nonsense"})
        assert (refused.status, refused.headers["patchbay-reason"]) == (401, "token_malformed")


async def test_a_session_is_asked_for_where_sessions_are(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway:
        gateway.webtransport.url = gateway.webtransport.url.replace("/v1/stream", "/v1/other")
        with pytest.raises(RefusedByStatus) as refused:
            async with gateway.webtransport.open(bearer(gateway)):
                pass
        assert refused.value.status == 404


async def test_started_comes_before_anything_is_sent_but_the_start(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway, gateway.webtransport.open(bearer(gateway)) as session:
        await say(session, Start())
        async with asyncio.timeout(DEADLINE_S):
            _, payload = await anext(session.messages())
        assert isinstance(codec.decode_server(payload), Started)
