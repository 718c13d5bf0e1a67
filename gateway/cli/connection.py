"""A client's connection to a gateway: the same conversation over WebSocket, gRPC or WebTransport."""

from __future__ import annotations

import asyncio
import contextlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import grpc
import msgspec

from gateway.admission.carriers import RESUME_HEADER
from gateway.cli.exit_codes import ExitCode
from gateway.errors import TABLE, Fault, Reason
from gateway.wire import codec, proto_codec
from gateway.wire.close_text import read_close_text
from gateway.wire.close_text import retry_after_ms_of as close_retry_after_ms
from gateway.wire.messages import Audio, ClientMessage, ErrorMessage, ServerMessage
from gateway.wire.proto import speech_pb2_grpc
from gateway.wire.rpc_status import DETAILS_METADATA
from gateway.wire.rpc_status import retry_after_ms_of as retry_info_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.cli.webtransport_connection import WebTransportChoices

CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 1.0
"""Nothing is waited for then but the other side's farewell."""
_MAX_MESSAGE_BYTES = 4 * 1_048_576
_DELAY_SECONDS = re.compile(r"[0-9]{1,9}")


class TransportChoice(StrEnum):
    """How to speak to a gateway."""

    ws = "ws"
    grpc = "grpc"
    webtransport = "webtransport"


class ConnectionFailed(Exception):
    """The conversation could not begin, or broke; `exit_code` says by whose fault, `retry_after_ms` what the server
    advised. `is_unanswered`: it was given up for want of an answer, which may still be on its way.
    """

    def __init__(
        self, text: str, exit_code: ExitCode, *, retry_after_ms: int | None = None, is_unanswered: bool = False
    ) -> None:
        super().__init__(f"{text}{advice(retry_after_ms)}")
        self.exit_code = exit_code
        self.is_unanswered = is_unanswered
        self.retry_after_ms = retry_after_ms


class UnreachableSo(ConnectionFailed):
    """Not by this protocol, while another one may do."""


class Connection(Protocol):
    """One session's messages."""

    async def send(self, message: ClientMessage) -> None:
        """Waits while the server holds us back. After the session's end nothing is sent: `messages` says why."""

    def messages(self) -> AsyncIterator[ServerMessage]:
        """Until the server ends the session. Raises ConnectionFailed."""


def advice(retry_after_ms: int | None) -> str:
    """What a person reads behind a refusal."""
    return "" if retry_after_ms is None else f" (try again after {retry_after_ms / 1_000:g} s)"


def exit_code_of(error: ErrorMessage) -> ExitCode:
    """What an error of the server means to a script."""
    try:
        reason = Reason(error.reason)
    except ValueError:
        return ExitCode.unavailable if error.retryable else ExitCode.internal
    return exit_code_of_reason(reason)


def exit_code_of_reason(reason: Reason) -> ExitCode:
    row = TABLE[reason]
    if row.http in (401, 403) or reason is Reason.wrong_region:
        return ExitCode.not_permitted
    if row.fault is Fault.client:
        return ExitCode.data_rejected
    return ExitCode.unavailable if row.retryable else ExitCode.internal


@contextlib.asynccontextmanager
async def connect(
    url: str,
    token: str,
    *,
    protocol: TransportChoice = TransportChoice.ws,
    resume_token: str = "",
    timeout_s: float = CONNECT_TIMEOUT_S,
    webtransport: WebTransportChoices | None = None,
) -> AsyncIterator[Connection]:
    """Open a session's connection; `resume_token`: of the session that is to go on. Raises ConnectionFailed."""
    headers = {"Authorization": f"Bearer {token}"} | ({RESUME_HEADER: resume_token} if resume_token else {})
    async with _opened(protocol, url, headers, timeout_s, webtransport) as connection:
        yield connection


def _opened(
    protocol: TransportChoice,
    url: str,
    headers: Mapping[str, str],
    timeout_s: float,
    webtransport: WebTransportChoices | None,
) -> contextlib.AbstractAsyncContextManager[Connection]:
    match protocol:
        case TransportChoice.ws:
            return _websocket(url, headers, timeout_s)
        case TransportChoice.grpc:
            return _grpc(url, headers)
        case TransportChoice.webtransport:
            from gateway.cli.webtransport_connection import open_webtransport  # QUIC is loaded where it is spoken

            return open_webtransport(url, headers, timeout_s, webtransport)


class _WebSocketConnection:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: ClientMessage) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            if isinstance(message, Audio):
                await self._socket.send_bytes(message.data)
            else:
                await self._socket.send_str(codec.encode_client(message))

    async def messages(self) -> AsyncIterator[ServerMessage]:
        has_said_why = False
        while (message := await self._socket.receive()).type is aiohttp.WSMsgType.TEXT:
            decoded = read_text(message.data)
            has_said_why = has_said_why or isinstance(decoded, ErrorMessage)
            if decoded is not None:
                yield decoded
        if message.type is aiohttp.WSMsgType.CLOSE and not has_said_why:
            check_close(str(message.extra or ""))
        elif message.type is aiohttp.WSMsgType.BINARY:
            raise ConnectionFailed("the server sent what is no message", ExitCode.protocol_broken)


def read_text(text: str | bytes) -> ServerMessage | None:
    """None: a later server's, which is passed over. Raises ConnectionFailed."""
    try:
        return codec.read_server(text)
    except msgspec.DecodeError as error:
        raise ConnectionFailed(f"the server sent what is no message: {error}", ExitCode.protocol_broken) from error


def check_close(text: str) -> None:
    """Raises ConnectionFailed if the text of a close says why nothing else was said."""
    reason, _ = read_close_text(text)
    if reason in Reason.__members__ and reason != Reason.finished.value:
        known = Reason(reason)
        raise ConnectionFailed(
            f"closed with {reason}: {TABLE[known].meaning}",
            exit_code_of_reason(known),
            retry_after_ms=close_retry_after_ms(text),
        )


@contextlib.asynccontextmanager
async def _websocket(url: str, headers: Mapping[str, str], timeout_s: float) -> AsyncIterator[Connection]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        try:
            async with asyncio.timeout(timeout_s):
                socket = await http.ws_connect(
                    websocket_url(url),
                    headers=headers,
                    compress=0,
                    max_msg_size=_MAX_MESSAGE_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _handshake_failure(error) from None
        except aiohttp.NonHttpUrlRedirectClientError as elsewhere:  # its text is the address
            reason = Reason.wrong_region
            raise ConnectionFailed(
                f"refused with {reason}: {TABLE[reason].meaning} Try --url {elsewhere}",
                exit_code_of_reason(reason),
            ) from None
        except ValueError:  # aiohttp's InvalidURL is one too
            raise ConnectionFailed(f"{url} is not an address", ExitCode.usage) from None
        except (aiohttp.ClientError, OSError) as error:  # which a timeout is too
            why = str(error) or f"no answer within {timeout_s:g} s"
            raise ConnectionFailed(
                f"cannot reach {url}: {why}", ExitCode.unavailable, is_unanswered=isinstance(error, TimeoutError)
            ) from None
        async with socket:
            yield _WebSocketConnection(socket)


def _handshake_failure(error: aiohttp.WSServerHandshakeError) -> ConnectionFailed:
    headers: Mapping[str, str] = error.headers or {}
    reason, retry_after = headers.get("Patchbay-Reason", ""), headers.get("Retry-After", "")
    code = {
        401: ExitCode.not_permitted,
        403: ExitCode.not_permitted,
        429: ExitCode.unavailable,
        503: ExitCode.unavailable,
    }
    known = Reason(reason) if reason in Reason.__members__ else None
    meaning = error.message if known is None else TABLE[known].meaning
    return ConnectionFailed(
        f"refused with HTTP {error.status} {reason}: {meaning}",
        code.get(error.status, ExitCode.protocol_broken if known is None else exit_code_of_reason(known)),
        retry_after_ms=int(retry_after) * 1_000 if _DELAY_SECONDS.fullmatch(retry_after) else None,
    )


def websocket_url(url: str) -> str:
    """`http://host:port` is enough; ws, wss and a path are taken as they are."""
    parts = urlsplit(url if "://" in url else f"ws://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path if parts.path not in ("", "/") else "/v1/stream"
    return parts._replace(scheme=scheme, path=path, fragment="").geturl()


class _GrpcConnection:
    def __init__(self, call: Any) -> None:
        self._call = call

    async def send(self, message: ClientMessage) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            await self._call.write(proto_codec.encode_client(message))

    async def messages(self) -> AsyncIterator[ServerMessage]:
        has_said_why = False
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                decoded = proto_codec.read_server(message)
                has_said_why = has_said_why or isinstance(decoded, ErrorMessage)
                if decoded is not None:
                    yield decoded
            status = await self._call.code()
            if status is not grpc.StatusCode.OK and not has_said_why:
                raise _call_failure(status, await self._call.details(), await self._call.trailing_metadata())
        except ValueError as error:
            raise ConnectionFailed(str(error), ExitCode.protocol_broken) from error
        except grpc.aio.AioRpcError as error:
            if not has_said_why:
                raise _call_failure(error.code(), error.details(), error.trailing_metadata()) from None


def _call_failure(status: grpc.StatusCode, details: str | None, metadata: Any) -> ConnectionFailed:
    said = {str(key): value for key, value in metadata or ()}
    code = {
        grpc.StatusCode.RESOURCE_EXHAUSTED: ExitCode.unavailable,
        grpc.StatusCode.UNAVAILABLE: ExitCode.unavailable,
        grpc.StatusCode.UNAUTHENTICATED: ExitCode.not_permitted,
        grpc.StatusCode.PERMISSION_DENIED: ExitCode.not_permitted,
    }
    reason, advised = str(said.get("patchbay-reason", "")), said.get(DETAILS_METADATA, b"")
    known = Reason(reason) if reason in Reason.__members__ else None
    return ConnectionFailed(
        f"gRPC {status.name}: {details}",
        code.get(status, ExitCode.protocol_broken if known is None else exit_code_of_reason(known)),
        retry_after_ms=retry_info_ms(advised if isinstance(advised, bytes) else b""),
    )


@contextlib.asynccontextmanager
async def _grpc(url: str, headers: Mapping[str, str]) -> AsyncIterator[Connection]:
    target, is_secure = grpc_target(url)
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
    if is_secure:
        channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
    else:
        channel = grpc.aio.insecure_channel(target, options=options)
    async with channel:
        stub = speech_pb2_grpc.SpeechStub(channel)  # type: ignore[no-untyped-call]
        yield _GrpcConnection(stub.Stream(metadata=tuple((name.lower(), text) for name, text in headers.items())))


def grpc_target(url: str) -> tuple[str, bool]:
    """`host:port`, `grpc://host:port` or `grpcs://host:port`; and whether it is secure."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url, False
    return rest.rstrip("/"), scheme in ("grpcs", "https")
