"""One session of an edge process: what its client says goes over the hop, what the gateway says comes back.

Whoever reads too slowly holds the other back: what waits for the gateway is bounded and then the client's stream is
paused; what waits for the client is bounded and then the hop is not read, so that the gateway finds its client slow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import aiohttp
import msgspec
import structlog

from gateway.errors import TABLE, ClientFault, Reason
from gateway.webtransport.datagram_lane import MESSAGE_OVERHEAD_BYTES, DatagramLane
from gateway.webtransport.hop import HopLost, HopRefused
from gateway.wire.close_text import close_text
from gateway.wire.codec import encode_server_utf8
from gateway.wire.refusal import error_message
from gateway.wire.stream_messages import AUDIO, MARK, TEXT

if TYPE_CHECKING:
    from gateway.webtransport.datagram_lane import LaneRules
    from gateway.webtransport.edge_metrics import EdgeMetrics
    from gateway.webtransport.hop import Hop
    from gateway.webtransport.interface import WebTransportSession
    from gateway.wire.messages import ErrorMessage

log = structlog.get_logger("gateway.webtransport")

_MOST_UNSENT_BYTES = 65_536
"""To the client; the gateway is not read while more waits."""
_PAUSE_ABOVE_BYTES = 262_144
_RESUME_BELOW_BYTES = 65_536
_MOST_WAITING_BYTES = 1_048_576
"""Datagrams cannot be paused: what comes above this is dropped, and becomes a gap."""
_LAST_WORDS_S = 5.0
"""For what a client said before it left."""
_HALF_CLOSED_S = 0.5
_OPCODES = {TEXT: aiohttp.WSMsgType.TEXT, AUDIO: aiohttp.WSMsgType.BINARY}


class EndedBy(StrEnum):
    """Label of a metric."""

    gateway = "gateway"
    client = "client"
    lost = "lost"
    """The client's connection is gone without a word."""
    edge = "edge"
    """What the client sent is no stream of messages, its datagrams contradict each other, or it reads nothing."""
    gateway_lost = "gateway_lost"


@dataclass(frozen=True, slots=True)
class SessionRules:
    max_message_bytes: int
    """The gateway's: sessions.max_message_bytes."""
    lane: LaneRules
    unread_s: float = 30.0
    """So long may a client take nothing of what waits for it. While it does, nobody looks whether the gateway has
    given it up.
    """


class HoppedSession:
    """Listens to one session (SessionEvents); `run` it until it is over."""

    def __init__(self, session: WebTransportSession, hop: Hop, rules: SessionRules, metrics: EdgeMetrics) -> None:
        self._session = session
        self._hop = hop
        self._rules = rules
        self._metrics = metrics
        self._lane = DatagramLane(rules.lane, metrics.datagrams, self._put, self._refuse, lambda: session.min_rtt_us)
        self._waiting: deque[tuple[int, bytes]] = deque()
        """For the gateway."""
        self._waiting_bytes = 0
        self._is_paused = False
        self._more = asyncio.Event()
        self._may_send = asyncio.Event()
        self._last_text = b""
        self._is_deaf = False
        """What the client still says has no meaning."""
        self._ended_by: EndedBy | None = None
        self._is_connected = False
        self._running: asyncio.Task[None] | None = None
        self._last_words: asyncio.TimerHandle | None = None
        self._half_closed: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """To the end, which the client hears. Raises nothing of its own."""
        self._running = asyncio.current_task()
        try:
            await self._run()
        except asyncio.CancelledError:
            if self._ended_by is None:
                raise
        finally:
            self._running = None
            for timer in (self._last_words, self._half_closed):
                if timer is not None:
                    timer.cancel()

    async def _run(self) -> None:
        if self._ended_by is not None:
            return  # its client asked and left at once
        try:
            socket = await self._hop.connect(self._session.request)
        except HopRefused as refused:
            self._end_with(_of_status(refused.status), by=EndedBy.gateway)
            return
        except HopLost:
            self._end_with(error_message(Reason.draining), by=EndedBy.gateway_lost)
            return
        self._is_connected = True
        writing = asyncio.create_task(self._write(socket))
        try:
            await self._read(socket)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    def gateway_gone(self) -> None:
        """The edge process ends: the client should go on elsewhere."""
        self._end_with(error_message(Reason.draining), by=EndedBy.gateway_lost)

    # --- what the client does (SessionEvents) ---------------------------------------------------------------------

    def received(self, kind: int, payload: bytes) -> None:
        if self._is_deaf:
            return
        if kind not in (TEXT, AUDIO, MARK):
            self.broken("a message on the stream is of a kind that the protocol does not have")
            return
        if kind == TEXT:
            self._last_text = payload
        try:
            self._lane.received(kind, payload)
        except ClientFault as fault:
            self._refuse(fault)
        self._pause_or_resume()

    def datagram(self, payload: bytes) -> None:
        if self._is_deaf:
            return
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self._metrics.datagrams_dropped += 1
            return
        try:
            self._lane.datagram(payload)
        except ClientFault as fault:
            self._refuse(fault)
        self._pause_or_resume()

    def broken(self, why: str) -> None:
        self._refuse(ClientFault(Reason.malformed_message, why))

    def too_large(self) -> None:
        """The gateway shall find so itself, as of every transport: by a message that is too large as well."""
        self._is_deaf = True
        self._put(AUDIO, bytes(self._rules.max_message_bytes + 1))

    def finished_sending(self) -> None:
        """After `finish` that is in order; before, it is as if the connection were gone. The gateway may have something
        to say of what was sent before.
        """
        if not self._is_deaf and not _is_finish(self._last_text):
            self._half_closed = asyncio.get_running_loop().call_later(_HALF_CLOSED_S, self._client_gone)

    def _client_gone(self) -> None:
        self._end(TABLE[Reason.client_gone].ws_close, Reason.client_gone.value, by=EndedBy.client)

    def sent(self) -> None:
        if self._session.unsent_bytes <= _MOST_UNSENT_BYTES:
            self._may_send.set()

    def closed(self, code: int | None, reason: str) -> None:
        del reason  # the gateway does not ask why a client leaves
        if not self._is_deaf:
            with contextlib.suppress(ClientFault):  # nobody is there to hear of it
                self._lane.give_up_waiting()
        self._over(EndedBy.lost if code is None else EndedBy.client)

    # --- towards the gateway --------------------------------------------------------------------------------------

    def _put(self, kind: int, payload: bytes) -> None:
        self._waiting.append((kind, payload))
        self._waiting_bytes += len(payload) + MESSAGE_OVERHEAD_BYTES
        self._more.set()

    def _pause_or_resume(self) -> None:
        waiting_bytes = self._waiting_bytes + self._lane.held_bytes
        if not self._is_paused and waiting_bytes > _PAUSE_ABOVE_BYTES:
            self._is_paused = True
            self._session.pause()
        elif self._is_paused and waiting_bytes <= _RESUME_BELOW_BYTES:
            self._is_paused = False
            self._session.resume()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        """Until the session is over and all that was said before is said."""
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # whoever reads notices, too
            while True:
                while self._waiting:
                    kind, payload = self._waiting.popleft()
                    self._waiting_bytes -= len(payload) + MESSAGE_OVERHEAD_BYTES
                    if self._is_paused:
                        self._pause_or_resume()
                    await socket.send_frame(payload, _OPCODES[kind])
                if self._ended_by is not None:
                    await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
                    return
                self._more.clear()
                await self._more.wait()

    # --- towards the client ---------------------------------------------------------------------------------------

    async def _read(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        while True:
            message = await socket.receive()
            if self._ended_by is not None:
                if message.type is aiohttp.WSMsgType.TEXT:
                    continue  # nobody is there to hear it
                return
            if message.type is aiohttp.WSMsgType.TEXT:
                self._session.send(TEXT, message.data)
                await self._until_it_may_send()
            elif message.type is aiohttp.WSMsgType.CLOSE:
                self._end(int(message.data), str(message.extra or ""), by=EndedBy.gateway)
                return
            else:
                self._end_with(error_message(Reason.draining), by=EndedBy.gateway_lost)
                return

    async def _until_it_may_send(self) -> None:
        while self._ended_by is None and self._session.unsent_bytes > _MOST_UNSENT_BYTES:
            self._may_send.clear()
            try:
                async with asyncio.timeout(self._rules.unread_s):
                    await self._may_send.wait()
            except TimeoutError:
                self._end_with(error_message(Reason.client_too_slow), by=EndedBy.edge)

    # --- the end --------------------------------------------------------------------------------------------------

    def _refuse(self, fault: ClientFault) -> None:
        """What the gateway cannot find, because it never hears of it."""
        self._end_with(error_message(fault.reason, fault.detail), by=EndedBy.edge)

    def _end_with(self, error: ErrorMessage, *, by: EndedBy) -> None:
        if self._ended_by is None:
            self._session.send(TEXT, encode_server_utf8(error))
            self._end(TABLE[Reason(error.reason)].ws_close, close_text(error), by=by)

    def _end(self, code: int, text: str, *, by: EndedBy) -> None:
        if self._ended_by is None:
            self._over(by)
            self._session.close(code, text)

    def _over(self, by: EndedBy) -> None:
        """Called again, it changes nothing."""
        if self._ended_by is not None:
            return
        self._ended_by = by
        self._is_deaf = True
        self._metrics.sessions_ended.labels(by.value).inc()
        self._lane.stop()
        self._more.set()
        self._may_send.set()
        if self._running is not None:
            wait_s = _LAST_WORDS_S if self._is_connected else 0.0
            self._last_words = asyncio.get_running_loop().call_later(wait_s, self._running.cancel)


class _Type(msgspec.Struct):
    type: str = ""


_type_decoder = msgspec.json.Decoder(_Type)


def _is_finish(text: bytes) -> bool:
    try:
        return _type_decoder.decode(text).type == "finish"
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _of_status(status: int) -> ErrorMessage:
    """What the gateway's HTTP refused before its protocol could: headers or a path that are too long, most likely."""
    reason = Reason.malformed_message if 400 <= status < 500 else Reason.draining
    log.warning("edge.hop_refused", status=status)
    return error_message(reason, "the gateway could not read the request" if reason is Reason.malformed_message else "")
