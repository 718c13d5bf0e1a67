"""The client's connection: addresses in every form, and a typed failure for whatever is at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cli.connection import ConnectionFailed, TransportChoice, connect, exit_code_of, grpc_target, websocket_url
from gateway.cli.exit_codes import ExitCode
from gateway.errors import TABLE, Reason
from gateway.wire.messages import Audio, ErrorMessage, Finish, Finished, ServerMessage, Start, Started
from gateway.wire.refusal import error_message
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PROTOCOLS = ["ws", "grpc"]
DEADLINE_S = 60


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "dialled"),
    [
        ("127.0.0.1:8080", "ws://127.0.0.1:8080/v1/stream"),
        ("speech.example", "ws://speech.example/v1/stream"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/stream"),
        ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/stream"),
        ("https://speech.example", "wss://speech.example/v1/stream"),
        ("ws://h/v1/stream", "ws://h/v1/stream"),
        ("wss://h/behind/a/proxy?zone=eu#there", "wss://h/behind/a/proxy?zone=eu"),
        ("http://[::1]:8080", "ws://[::1]:8080/v1/stream"),
    ],
)
def test_a_websocket_address_may_be_short(given: str, dialled: str) -> None:
    assert websocket_url(given) == dialled


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "dialled", "is_secure"),
    [
        ("127.0.0.1:8081", "127.0.0.1:8081", False),
        ("[::1]:8081", "[::1]:8081", False),
        ("grpc://h:8081", "h:8081", False),
        ("http://h:8081/", "h:8081", False),
        ("grpcs://h:443", "h:443", True),
        ("https://h:443/", "h:443", True),
    ],
)
def test_a_grpc_address_says_whether_it_is_secure(given: str, dialled: str, *, is_secure: bool) -> None:
    assert grpc_target(given) == (dialled, is_secure)


# --- exit codes ---------------------------------------------------------------------------------------------------


@pytest.mark.unit
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in {Reason.finished, Reason.client_gone}])
def test_every_reason_has_the_exit_code_that_says_whether_trying_again_helps(reason: Reason) -> None:
    code = exit_code_of(error_message(reason))
    if TABLE[reason].http in (401, 403) or reason is Reason.wrong_region:
        assert code is ExitCode.not_permitted
    elif reason is Reason.internal_error:
        assert code is ExitCode.internal
    else:
        assert code is (ExitCode.unavailable if TABLE[reason].retryable else ExitCode.data_rejected)


@pytest.mark.unit
@pytest.mark.parametrize(("retryable", "code"), [(True, ExitCode.unavailable), (False, ExitCode.internal)])
def test_a_reason_that_a_newer_server_has_is_told_by_what_it_says_itself(*, retryable: bool, code: ExitCode) -> None:
    assert exit_code_of(ErrorMessage(reason="from_the_future", message="", retryable=retryable)) is code


# --- conversations with a gateway ---------------------------------------------------------------------------------


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    async with running_gateway(tmp_path, asyncio.get_running_loop()) as running:
        yield running


async def conversation(url: str, token: str, protocol: str) -> list[ServerMessage]:
    async with asyncio.timeout(DEADLINE_S), connect(url, token, protocol=TransportChoice(protocol)) as connection:
        await connection.send(Start())
        await connection.send(Audio(bytes(3_200)))
        await connection.send(Finish())
        return [message async for message in connection.messages()]


async def failure_of(url: str, token: str, protocol: str) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as failure:
        await conversation(url, token, protocol)
    return failure.value


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_session_is_the_same_over_both_protocols(gateway: GatewayInProcess, protocol: str) -> None:
    heard = await conversation(gateway.urls[protocol], gateway.token(), protocol)
    assert isinstance(heard[0], Started)
    assert heard[-1] == Finished(100)


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_is_sent_after_the_end_of_the_session_is_dropped(gateway: GatewayInProcess, protocol: str) -> None:
    """Whoever reads hears why it ended."""
    async with connect(gateway.urls[protocol], gateway.token(), protocol=TransportChoice(protocol)) as connection:
        await connection.send(Finish())
        async with asyncio.timeout(DEADLINE_S):
            heard = [message async for message in connection.messages()]
        assert [type(message) for message in heard] == [ErrorMessage]
        for _ in range(20):
            await connection.send(Audio(bytes(3_200)))


@pytest.mark.integration
async def test_a_refused_token_is_77_and_told_with_its_reason_and_never_shown(gateway: GatewayInProcess) -> None:
    failure = await failure_of(gateway.websocket, "eyJ.canary.x", "ws")
    assert failure.exit_code is ExitCode.not_permitted
    assert "refused with HTTP 401 token_malformed: The token is not a JWT" in str(failure)
    assert "canary" not in str(failure)
    (error,) = await conversation(gateway.grpc, "eyJ.canary.x", "grpc")
    assert isinstance(error, ErrorMessage)
    assert exit_code_of(error) is ExitCode.not_permitted
    assert "canary" not in error.message


# --- what else may be at the other end ----------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_nobody_there_is_69(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (await failure_of(f"127.0.0.1:{port}", "t", protocol)).exit_code is ExitCode.unavailable


@pytest.mark.integration
@pytest.mark.parametrize("url", ["http://[::1", "http://h:port", "http://"])
async def test_what_is_no_address_is_64(url: str) -> None:
    assert (await failure_of(url, "t", "ws")).exit_code is ExitCode.usage


async def _silent(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    return socket


def _says(data: str | bytes) -> Callable[[web.Request], object]:
    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
        return socket

    return handle


def _answers(status: int, **headers: str) -> Callable[[web.Request], object]:
    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return handle


@contextlib.asynccontextmanager
async def serving(handle: Callable[[web.Request], object]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/stream", handle)  # type: ignore[arg-type]
    async with TestServer(app) as server:
        yield str(server.make_url("/v1/stream"))


@pytest.mark.integration
@pytest.mark.parametrize("data", ["hello", '{"kind":"from_the_future"}', '{"type":"final"}', b"\x00\x01"])
async def test_a_server_that_does_not_speak_the_protocol_is_76(data: str | bytes) -> None:
    async with serving(_says(data)) as url:
        failure = await failure_of(url, "t", "ws")
    assert failure.exit_code is ExitCode.protocol_broken
    assert "the server sent what is no message" in str(failure)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "code"),
    [(200, 76), (401, 77), (403, 77), (404, 76), (500, 76), (503, 69)],
)
async def test_an_http_answer_instead_of_an_upgrade_is_told_by_its_status(status: int, code: int) -> None:
    async with serving(_answers(status)) as url:
        failure = await failure_of(url, "t", "ws")
    assert failure.exit_code == code
    assert str(status) in str(failure)


@pytest.mark.integration
async def test_whoever_came_to_the_wrong_region_is_told_where_to_go() -> None:
    async with serving(_answers(307, Location="wss://eu.example/v1/stream")) as url:
        failure = await failure_of(url, "t", "ws")
    assert failure.exit_code is ExitCode.not_permitted
    assert "wss://eu.example/v1/stream" in str(failure)


@pytest.mark.integration
async def test_a_server_that_hangs_up_ends_the_messages(gateway: GatewayInProcess) -> None:
    async with serving(_silent) as url:
        assert await conversation(url, "t", "ws") == []


@pytest.mark.integration
async def test_grpc_to_what_is_no_grpc_is_a_typed_failure(gateway: GatewayInProcess) -> None:
    target = gateway.websocket.removeprefix("ws://").removesuffix("/v1/stream")
    assert (await failure_of(target, "t", "grpc")).exit_code is ExitCode.unavailable


@pytest.mark.integration
async def test_a_message_of_a_later_server_is_passed_over() -> None:
    async def says(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"type": "weather", "is_fine": true}')
        await socket.send_str('{"type": "finished", "audio_ms": 100}')
        await socket.close()
        return socket

    async with serving(says) as url:
        assert await conversation(url, "t", "ws") == [Finished(100)]
