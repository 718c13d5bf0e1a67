"""The native protocol over WebSocket: `/v1/stream`."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from aiohttp import ClientConnectionError, WSCloseCode, WSMsgType, web
from aiohttp.http_websocket import WebSocketError

from gateway.admission.carriers import RESUME_HEADER, SUBPROTOCOL, token_of_request
from gateway.errors import TABLE, AddressRefused, ClientFault, Reason, SessionRefused, WrongRegion
from gateway.transports.direct_receive import DirectWebSocket
from gateway.transports.last_words import LastWords
from gateway.wire.close_text import close_text
from gateway.wire.codec import decode_client, encode_server, encode_server_utf8
from gateway.wire.messages import Audio, ErrorMessage
from gateway.wire.rate_limit_fields import rate_limit_fields, retry_after_s
from gateway.wire.refusal import error_of

if TYPE_CHECKING:
    from gateway.admission.addresses import Visit
    from gateway.admission.edge_headers import HeaderLines
    from gateway.admission.places import Visitor
    from gateway.reception import Guest, Reception
    from gateway.session_runner import SessionRunner

PATH = "/v1/stream"
TRANSPORT = "websocket"
_CLOSE_TIMEOUT_S = 2.0


class WebSocketTransport:
    """Handles the upgrade and drives one session a connection.

    `transport`: as what its sessions are counted. `refuses_inside`: whoever brings the connection has accepted the
    session already, so every refusal is told after the upgrade.
    """

    def __init__(self, reception: Reception, *, transport: str = TRANSPORT, refuses_inside: bool = False) -> None:
        self._reception = reception
        self._transport = transport
        self._refuses_inside = refuses_inside

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A refusal that is known before the upgrade is an HTTP status; after it, an `error` and a close code."""
        try:
            visitor = self._reception.visitor(request.remote or "", lines_of(request))
            with self._reception.knock(visitor.address) as visit:
                opened = await self._opened(request, visitor, visit)
        except AddressRefused as refusal:
            self._reception.note_refusal(refusal, transport=self._transport)
            return await self._turned_away(request, refusal)
        if isinstance(opened, web.StreamResponse):
            return opened
        await self._serve(opened.socket, opened.runner)
        return opened.socket

    async def _opened(self, request: web.Request, visitor: Visitor, visit: Visit) -> web.StreamResponse | _Opened:
        """A session, or the end of the answer that refused one."""
        admitted: Guest | None = None
        try:
            token = token_of_request(
                authorization=request.headers.getall("Authorization", []),
                query=request.query.items(),
                subprotocols=_subprotocols(request),
            )
            if token is not None:
                admitted = await self._reception.admit(token, visitor, request.headers.get(RESUME_HEADER, ""))
            if request.transport is None:  # it left while it was asked about
                raise ClientFault(Reason.client_gone)
        except SessionRefused as refusal:
            if admitted is not None:
                admitted.tab.release()
            self._reception.note_refusal(refusal, transport=self._transport, visit=visit)
            return await self._turned_away(request, refusal)
        socket = self._new_socket()
        try:
            await socket.prepare(request)
            return _Opened(socket, await self._open(socket, token, admitted, visitor))
        except SessionRefused as refusal:
            if admitted is not None:
                admitted.tab.release()
            self._reception.note_refusal(refusal, transport=self._transport, visit=visit)
            await _refuse(socket, refusal)
            return socket
        except BaseException:
            if admitted is not None:
                admitted.tab.release()
            raise

    async def _turned_away(self, request: web.Request, refusal: SessionRefused) -> web.StreamResponse:
        """The whole answer to who may not have a session, as is known before the upgrade."""
        socket = self._new_socket()
        if not self._refuses_inside or request.transport is None or not socket.can_prepare(request):
            return http_refusal(refusal)
        await socket.prepare(request)
        await _refuse(socket, refusal)
        return socket

    def _new_socket(self) -> DirectWebSocket:
        return DirectWebSocket(
            compress=False,
            max_msg_size=self._reception.sessions.max_message_bytes,
            protocols=(SUBPROTOCOL,),
            timeout=_CLOSE_TIMEOUT_S,
        )

    async def _open(
        self, socket: DirectWebSocket, token: str | None, early: Guest | None, visitor: Visitor
    ) -> SessionRunner:
        """Wait for `start`, admit, begin. Raises SessionRefused."""
        try:
            async with asyncio.timeout(self._reception.sessions.handshake_timeout_ms / 1_000):
                message = await socket.receive()
        except TimeoutError:
            raise ClientFault(Reason.handshake_timeout) from None
        if message.type is WSMsgType.BINARY:
            raise ClientFault(Reason.unexpected_message, "the first message must be `start`, as text")
        if message.type is WSMsgType.ERROR:
            raise _fault_of(message.data)
        if message.type is not WSMsgType.TEXT:
            raise ClientFault(Reason.client_gone)
        request = self._reception.read_start(decode_client(message.data))
        admitted = await self._reception.admit_start(request, token, early, visitor)
        try:
            return self._reception.begin(admitted, request, _Port(socket), transport=self._transport)
        except BaseException:
            if early is None:
                admitted.tab.release()
            raise

    async def _serve(self, socket: DirectWebSocket, runner: SessionRunner) -> None:
        """Read until the client is gone or the session over, while a task of its own writes."""
        last_words = LastWords(socket.abort, self._reception.sessions.closing_timeout_ms)
        runner.queue.when_closed(last_words.begin)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_write(socket, runner))
                try:
                    await self._read(socket, runner)
                finally:
                    runner.client_gone()
        finally:
            last_words.end()

    async def _read(self, socket: DirectWebSocket, runner: SessionRunner) -> None:
        def take(data: str | bytes) -> None:
            if isinstance(data, bytes):
                self._reception.count_audio(len(data))
                runner.client_message(Audio(data))
                return
            try:
                runner.client_message(decode_client(data))
            except ClientFault as fault:
                runner.refuse(fault)

        def failed(error: BaseException) -> None:
            runner.refuse(_fault_of(error))

        while socket.has_buffered and not runner.machine.is_closed:
            message = await socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                take(message.data)
            elif message.type is WSMsgType.ERROR:
                return failed(message.data)
            else:
                return None
        if runner.machine.is_closed:
            return None  # what is still buffered has no meaning; the writer says why the session is over
        socket.divert(take, failed)
        while (await socket.receive()).type in (WSMsgType.PING, WSMsgType.PONG):
            pass
        return None


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection with its session."""

    socket: DirectWebSocket
    runner: SessionRunner


class _Port:
    """Flow control of one connection."""

    __slots__ = ("_socket",)

    def __init__(self, socket: DirectWebSocket) -> None:
        self._socket = socket

    def pause(self) -> None:
        self._socket.pause_reading()

    def resume(self) -> None:
        self._socket.resume_reading()


async def _write(socket: DirectWebSocket, runner: SessionRunner) -> None:
    """Send what the session has to say; then close with its reason."""
    reason: Reason | None = None
    error: ErrorMessage | None = None
    try:
        while reason is None:
            messages, reason = await runner.queue.take()
            if messages:
                await socket.send_texts([encode_server_utf8(message) for message in messages])
                if isinstance(messages[-1], ErrorMessage):
                    error = messages[-1]
    except (ClientConnectionError, ConnectionError):
        runner.client_gone()
        return
    await socket.restore()
    await _close(socket, reason, reason.value if error is None else close_text(error))


async def _refuse(socket: DirectWebSocket, refusal: SessionRefused) -> None:
    error = error_of(refusal)
    with contextlib.suppress(ClientConnectionError, ConnectionError):
        await socket.send_str(encode_server(error))
    await _close(socket, refusal.reason, close_text(error))


async def _close(socket: DirectWebSocket, reason: Reason, text: str) -> None:
    with contextlib.suppress(ClientConnectionError, ConnectionError):
        await socket.close(code=TABLE[reason].ws_close, message=text.encode())


def _fault_of(error: object) -> ClientFault:
    """What the WebSocket reader refused."""
    if isinstance(error, WebSocketError) and error.code == WSCloseCode.MESSAGE_TOO_BIG:
        return ClientFault(Reason.message_too_large)
    return ClientFault(Reason.malformed_message, "the bytes are not WebSocket messages (RFC 6455)")


def _subprotocols(request: web.Request) -> list[str]:
    offers = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
    return [offer.strip() for offer in offers.split(",") if offer.strip()]


def lines_of(request: web.Request) -> HeaderLines:
    """Every value of a header of the request, by its name in any case."""
    headers = request.headers
    return lambda name: headers.getall(name, ())


def http_refusal(refusal: SessionRefused) -> web.Response:
    """The same reason as HTTP: status, JSON body, Retry-After in whole seconds, and the limit where one refused.

    Whoever came to the wrong region is sent on to a gateway of another one, where one is known.
    """
    row = TABLE[refusal.reason]
    status = row.http
    headers = {"Patchbay-Reason": refusal.reason.value, **rate_limit_fields(refusal)}
    if refusal.retry_after_ms is not None:
        headers["Retry-After"] = str(retry_after_s(refusal.retry_after_ms))
    if row.http == 401:
        headers["WWW-Authenticate"] = f'Bearer error="invalid_token", error_description="{refusal.reason.value}"'
    instead = _websocket_of(refusal.gateways) if isinstance(refusal, WrongRegion) else None
    if instead is not None:
        status = 307
        headers["Location"] = instead
    body = msgspec.to_builtins(error_of(refusal))
    return web.json_response(body, status=status, headers=headers)


def _websocket_of(gateways: tuple[str, ...]) -> str | None:
    """The first that is reached over WebSocket."""
    return next((gateway for gateway in gateways if gateway.startswith(("wss://", "ws://"))), None)
