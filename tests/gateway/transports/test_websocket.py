"""What is particular to the WebSocket transport: HTTP refusals, close codes, subprotocols, broken frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from gateway.errors import TABLE, ClientFault, Reason, Unavailable
from gateway.session_settings import SessionSettings
from gateway.transports.websocket import PATH, WebSocketTransport, http_refusal
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp.typedefs import Handler

    from gateway.reception import Guest

pytestmark = pytest.mark.integration

PCM_100_MS = b"\x01\x00" * 1_600


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    settings = SessionSettings(max_message_bytes=8_192, max_waiting_bytes=65_536)
    async with asyncio.timeout(60), running_gateway(tmp_path, asyncio.get_running_loop(), sessions=settings) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def close_of(socket: aiohttp.ClientWebSocketResponse) -> tuple[list[str], int, str]:
    """Types of the messages that came, then the close code and reason."""
    types = []
    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        types.append(json.loads(message.data)["type"])
    assert message.type is aiohttp.WSMsgType.CLOSE
    return types, int(message.data), str(message.extra)


async def test_a_finished_session_closes_with_1000(gateway: GatewayInProcess, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(gateway.websocket, headers={"Authorization": f"Bearer {gateway.token()}"}) as socket:
        await socket.send_str('{"type":"start"}')
        await socket.send_bytes(PCM_100_MS)
        await socket.send_str('{"type":"finish"}')
        assert await close_of(socket) == (
            ["started", "final", "utterance_end", "ack", "usage", "finished"],
            1000,
            "finished",
        )


@pytest.mark.parametrize("where", ["header", "vendor header", "query", "other query", "subprotocol"])
async def test_a_token_may_come_in_any_of_these_places(
    gateway: GatewayInProcess, http: aiohttp.ClientSession, where: str
) -> None:
    token = gateway.token()
    url, headers, protocols = gateway.websocket, {}, []
    match where:
        case "header":
            headers = {"Authorization": f"Bearer {token}"}
        case "vendor header":
            headers = {"Authorization": f"Token {token}"}
        case "query":
            url += f"?token={token}"
        case "other query":
            url += f"?access_token={token}"
        case "subprotocol":
            protocols = ["patchbay.v1", f"bearer.{token}"]
    async with http.ws_connect(url, headers=headers, protocols=protocols) as socket:
        await socket.send_str('{"type":"start"}')
        assert json.loads((await socket.receive()).data)["type"] == "started"
        assert socket.protocol == (None if where != "subprotocol" else "patchbay.v1")


async def test_a_bad_token_is_an_http_status_before_the_upgrade(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    async with http.get(
        gateway.websocket.replace("ws:", "http:"),
        headers={
            "Authorization": "Bearer nonsense",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        },
    ) as response:
        body = await response.json()
    assert response.status == 401
    assert body["reason"] == "token_malformed"
    assert response.headers["Patchbay-Reason"] == "token_malformed"
    assert "nonsense" not in json.dumps(body)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("not json", Reason.malformed_message),
        ("[]", Reason.malformed_message),
        ('{"type":"start","nonsense":1}', Reason.malformed_message),
        ('{"type":"finish"}', Reason.unexpected_message),
        (b"\x00\x00", Reason.unexpected_message),
        ("x" * 8_193, Reason.message_too_large),
        ('{"type":"start","audio":{"encoding":"mp4"}}', Reason.bad_audio_format),
    ],
)
async def test_a_first_message_that_is_no_start_is_told_and_closed_with_its_code(
    gateway: GatewayInProcess, http: aiohttp.ClientSession, sent: str | bytes, reason: Reason
) -> None:
    async with http.ws_connect(gateway.websocket, headers={"Authorization": f"Bearer {gateway.token()}"}) as socket:
        await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
        assert await close_of(socket) == (["error"], TABLE[reason].ws_close, reason.value)
    assert gateway.refusals() == {("websocket", reason.value): 1.0}


@pytest.mark.parametrize("sent", ["not json", '{"type":"partial"}', '{"type":"finish","more":1}'])
async def test_a_malformed_message_in_mid_session_ends_it_with_its_reason(
    gateway: GatewayInProcess, http: aiohttp.ClientSession, sent: str
) -> None:
    async with http.ws_connect(gateway.websocket, headers={"Authorization": f"Bearer {gateway.token()}"}) as socket:
        await socket.send_str('{"type":"start"}')
        await socket.receive()
        await socket.send_str(sent)
        assert await close_of(socket) == (["error"], 4400, "malformed_message")
    assert len(gateway.registry) == 0


async def test_a_session_that_a_fault_of_ours_keeps_from_beginning_keeps_no_place(
    tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_gateway(tmp_path, asyncio.get_running_loop(), max_sessions=1) as gateway:
        start = json.dumps({"type": "start", "token": gateway.token()})
        with monkeypatch.context() as broken:
            broken.setattr(gateway.reception, "begin", None)
            async with http.ws_connect(gateway.websocket) as socket:
                await socket.send_str(start)
                assert (await socket.receive()).type is not aiohttp.WSMsgType.TEXT
        async with http.ws_connect(gateway.websocket) as socket:
            await socket.send_str(start)
            assert (await socket.receive_json())["type"] == "started"


@contextlib.asynccontextmanager
async def _served(app: web.Application) -> AsyncIterator[str]:
    """As the gateway serves: a client that leaves cancels nothing."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    finally:
        await runner.cleanup()


async def test_a_client_that_left_while_it_was_asked_about_is_no_fault_and_keeps_no_place(
    tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As clients leave a gateway that stands still."""
    requests: list[web.Request] = []
    is_over = asyncio.Event()

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        requests.append(request)
        try:
            return await handler(request)
        finally:
            is_over.set()

    async with running_gateway(tmp_path, asyncio.get_running_loop(), max_sessions=1) as gateway:
        admit, is_admitted = gateway.reception.admit, asyncio.Event()

        async def admit_late(*given: Any) -> Guest:
            admitted = await admit(*given)
            is_admitted.set()
            while requests[0].transport is not None:
                await asyncio.sleep(0.005)
            return admitted

        app = web.Application(middlewares=[note])
        app.router.add_get(PATH, WebSocketTransport(gateway.reception).handle)
        headers = {"Authorization": f"Bearer {gateway.token()}"}
        async with _served(app) as url:
            with monkeypatch.context() as late:
                late.setattr(gateway.reception, "admit", admit_late)
                asking = asyncio.create_task(http.ws_connect(url, headers=headers))
                await is_admitted.wait()
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                await is_over.wait()
            assert gateway.refusals() == {("websocket", "client_gone"): 1.0}
            async with http.ws_connect(url, headers=headers) as socket:
                await socket.send_str('{"type":"start"}')
                assert (await socket.receive_json())["type"] == "started"
    assert [record.getMessage() for record in caplog.records if record.name == "aiohttp.server"] == []


async def test_a_clients_close_frame_ends_the_session_at_once(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(gateway.websocket, headers={"Authorization": f"Bearer {gateway.token()}"}) as socket:
        await socket.send_str('{"type":"start"}')
        await socket.receive()
        await socket.close(code=1000)
    while len(gateway.registry):
        await asyncio.sleep(0.005)
    assert gateway.refusals() == {("websocket", "client_gone"): 1.0}


async def test_compression_is_not_offered(gateway: GatewayInProcess, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {gateway.token()}"}
    async with http.ws_connect(gateway.websocket, headers=headers, compress=15) as socket:
        assert not socket.compress


def test_an_http_refusal_says_when_to_come_again() -> None:
    response = http_refusal(Unavailable(Reason.too_many_sessions, retry_after_ms=1_500))
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert "Retry-After" not in http_refusal(ClientFault(Reason.token_expired)).headers
    assert "WWW-Authenticate" in http_refusal(ClientFault(Reason.token_expired)).headers
