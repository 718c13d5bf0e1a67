"""The native protocol over gRPC: `patchbay.v1.Speech/Stream`, one bidirectional call a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError

from gateway.admission.carriers import RESUME_HEADER, token_of_request
from gateway.errors import TABLE, AddressRefused, ClientFault, Reason, SessionRefused
from gateway.wire.messages import Audio, ErrorMessage, Finish
from gateway.wire.proto import speech_pb2 as pb
from gateway.wire.proto_codec import decode_client, encode_server
from gateway.wire.refusal import error_message, error_of
from gateway.wire.rpc_status import DETAILS_METADATA, status_details, status_text
from regions.gateway_address import is_webtransport

if TYPE_CHECKING:
    from gateway.admission.addresses import Visit
    from gateway.admission.edge_headers import HeaderLines
    from gateway.admission.places import Visitor
    from gateway.reception import Guest, Reception
    from gateway.session_runner import SessionRunner

_TRANSPORT = "grpc"
_SERVICE = pb.DESCRIPTOR.services_by_name["Speech"].full_name
_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_CANCEL_GRACE_S = 0.02
_HEARING_S = 0.1
"""Between the `error` message and the status: a client that writes to a call with a status gives up what it has not
read.
"""
REASON_METADATA = "patchbay-reason"
RETRY_METADATA = "patchbay-retry-after-ms"
GATEWAY_METADATA = "patchbay-gateway"
_MAX_GATEWAYS = 8
"""A status travels in headers; the `error` message before it names them all."""

Context = Any  # grpc.aio.ServicerContext has no type information


def _parsed(data: bytes) -> pb.ClientMessage | None:
    """None for bytes that are no protobuf."""
    try:
        return pb.ClientMessage.FromString(data)
    except DecodeError:
        return None


class SpeechService:
    """Drives one session a call. A refusal is an `error` message and the call's status."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve the calls. Not through the generated code, whose parser raises inside the library, where bytes that are
        no protobuf have no reason.
        """
        stream = grpc.stream_stream_rpc_method_handler(
            self._stream, request_deserializer=_parsed, response_serializer=pb.ServerMessage.SerializeToString
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Stream": stream}),))

    async def _stream(self, _requests: object, context: Context) -> None:
        try:
            visitor = self._reception.visitor(address_of(context.peer()), _lines_of(context))
            with self._reception.knock(visitor.address) as visit:
                runner, port = await self._opened(context, visitor, visit)
        except AddressRefused as refusal:
            self._reception.note_refusal(refusal, transport=_TRANSPORT)
            await _abort(context, refusal.reason, error_of(refusal))
        reader = asyncio.create_task(self._read(context, runner, port))
        try:
            reason, error = await self._write(context, runner)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        if reason is not Reason.finished:
            await asyncio.sleep(_HEARING_S)
            await _abort(context, reason, error_message(reason) if error is None else error)

    async def _opened(self, context: Context, visitor: Visitor, visit: Visit) -> tuple[SessionRunner, _Port]:
        """A session; or the call is ended, by raising what the library knows."""
        try:
            return await self._open(context, visitor)
        except SessionRefused as refusal:
            self._reception.note_refusal(refusal, transport=_TRANSPORT, visit=visit)
            await context.write(encode_server(error_of(refusal)))
            await asyncio.sleep(_HEARING_S)
            await _abort(context, refusal.reason, error_of(refusal))

    async def _open(self, context: Context, visitor: Visitor) -> tuple[SessionRunner, _Port]:
        """Admit by metadata or by `start`, then begin. Raises SessionRefused."""
        lines = _lines_of(context)
        token = token_of_request(authorization=lines("authorization"))
        resume_token = "".join(lines(RESUME_HEADER.lower()))
        early: Guest | None = None if token is None else await self._reception.admit(token, visitor, resume_token)
        try:
            request = self._reception.read_start(decode_client(await self._first(context)))
            admitted = await self._reception.admit_start(request, token, early, visitor)
            try:
                port = _Port()
                return self._reception.begin(admitted, request, port, transport=_TRANSPORT), port
            except BaseException:
                if early is None:
                    admitted.tab.release()
                raise
        except BaseException:
            if early is not None:
                early.tab.release()
            raise

    async def _first(self, context: Context) -> pb.ClientMessage:
        try:
            async with asyncio.timeout(self._reception.sessions.handshake_timeout_ms / 1_000):
                message = await context.read()
        except TimeoutError:
            raise ClientFault(Reason.handshake_timeout) from None
        if message is grpc.aio.EOF:
            raise ClientFault(Reason.handshake_timeout, "the call was half-closed before its `start`")
        if not isinstance(message, pb.ClientMessage):
            raise _no_protobuf()
        return message

    async def _read(self, context: Context, runner: SessionRunner, port: _Port) -> None:
        """Until the client half-closes, which means `finish`, or is gone."""
        max_bytes = self._reception.sessions.max_message_bytes
        while not runner.machine.is_closed:
            await port.until_readable()
            try:
                message = await context.read()
            except grpc.aio.UsageError:  # the call is over
                runner.client_gone()
                return
            if message is grpc.aio.EOF:
                if await _is_over_soon(context):
                    runner.client_gone()
                else:
                    runner.client_message(Finish())
                return
            if message is None:
                runner.refuse(_no_protobuf())
                return
            if message.ByteSize() > max_bytes:
                runner.refuse(ClientFault(Reason.message_too_large))
                return
            try:
                decoded = decode_client(message)
            except ClientFault as fault:
                runner.refuse(fault)
                return
            if isinstance(decoded, Audio):
                self._reception.count_audio(len(decoded.data))
            runner.client_message(decoded)
            if isinstance(decoded, Finish):
                return

    async def _write(self, context: Context, runner: SessionRunner) -> tuple[Reason, ErrorMessage | None]:
        """Send what the session has to say; gives its reason, and the error if it ended with one.

        A client that takes nothing cannot be cut off here: its session goes, and the call's status waits in the library
        until the client reads or leaves.
        """
        loop = asyncio.get_running_loop()
        closing_timeout_s = self._reception.sessions.closing_timeout_ms / 1_000
        error: ErrorMessage | None = None
        reason: Reason | None = None
        try:
            async with asyncio.timeout(None) as deadline:
                runner.queue.when_closed(lambda: deadline.reschedule(loop.time() + closing_timeout_s))
                try:
                    while reason is None:
                        messages, reason = await runner.queue.take()
                        for message in messages:
                            if isinstance(message, ErrorMessage):
                                error = message
                            await context.write(encode_server(message))
                finally:
                    runner.client_gone()
        except TimeoutError:
            return Reason.client_too_slow, None
        return reason, error


def _no_protobuf() -> ClientFault:
    return ClientFault(Reason.malformed_message, f"the bytes are no {pb.ClientMessage.DESCRIPTOR.full_name}")


async def _is_over_soon(context: Context) -> bool:
    """Whether the end of the client's messages is the end of the call: one that was cancelled reads EOF first."""
    over = asyncio.Event()
    context.add_done_callback(lambda _context: over.set())
    try:
        async with asyncio.timeout(_CANCEL_GRACE_S):
            await over.wait()
    except TimeoutError:
        return False
    return True


class _Port:
    """Flow control of one call: while it is paused nothing is read, and HTTP/2 holds the client back."""

    __slots__ = ("_readable",)

    def __init__(self) -> None:
        self._readable = asyncio.Event()
        self._readable.set()

    def pause(self) -> None:
        self._readable.clear()

    def resume(self) -> None:
        self._readable.set()

    async def until_readable(self) -> None:
        await self._readable.wait()


def _lines_of(context: Context) -> HeaderLines:
    """Every value of a call's metadata, by its name in any case."""

    def lines(name: str) -> list[str]:
        name = name.lower()  # HTTP/2 has no other
        return [str(value) for key, value in context.invocation_metadata() or () if key == name]

    return lines


def address_of(peer: str) -> str:
    """The address in what the library calls a peer: `ipv4:192.0.2.1:443`, `ipv6:%5B2001:db8::1%5D:443`; empty for
    another kind.
    """
    kind, _, where = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return where.rpartition(":")[0].strip("[]")


async def _abort(context: Context, reason: Reason, error: ErrorMessage) -> NoReturn:
    """End the call with a status, with what a client may do about it in its metadata."""
    status = _STATUS[TABLE[reason].grpc]
    metadata: list[tuple[str, str | bytes]] = [(REASON_METADATA, reason.value)]
    if error.retry_after_ms is not None:
        metadata.append((RETRY_METADATA, str(error.retry_after_ms)))
    named = sorted(error.gateways, key=is_webtransport)  # whoever speaks gRPC needs those least
    metadata += [(GATEWAY_METADATA, gateway) for gateway in named[:_MAX_GATEWAYS]]
    details = status_details(error, grpc_code=TABLE[reason].grpc)
    if details is not None:
        metadata.append((DETAILS_METADATA, details))
    await context.abort(status, status_text(error.message), trailing_metadata=tuple(metadata))
    raise AssertionError("abort always raises")
