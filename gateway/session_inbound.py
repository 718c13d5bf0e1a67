"""One client's messages on their way to its machine: decoded, in order, no more of them than the session has room for.

While the session holds as much audio as it may, messages wait here; the transport has been told to stop reading by
then, so only what was already under way can come, and more than `max_waiting_bytes` of it is a client's fault.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.errors import ClientFault, Reason
from gateway.wire.messages import MAX_GAP_MS, Audio, Finalize, Finish, Gap, KeepAlive, Start

if TYPE_CHECKING:
    from gateway.audio.interface import AudioDecoder, GapExtent
    from gateway.wire.messages import ClientMessage
    from policies.facts import AudioFormat

_PIECE_MS = 1_000


class InboundSink(Protocol):
    """What the pipeline feeds: the machine, behind its runner."""

    def has_room(self) -> bool:
        """Whether a second of audio may come now."""

    def audio(self, pcm16: bytes) -> None: ...
    def lost(self, extent: GapExtent) -> None:
        """Told before its silence comes as audio."""

    def finalize(self, request_id: str) -> None: ...
    def finish(self) -> None: ...
    def keepalive(self) -> None: ...


class _Silence(NamedTuple):
    """What is left of a gap that was told: no more than a second."""

    samples: int


class SessionInbound:
    """Takes messages as the transport reads them. Raises ClientFault for what the client may not send."""

    def __init__(
        self, audio_format: AudioFormat, decoder: AudioDecoder, sink: InboundSink, *, max_waiting_bytes: int
    ) -> None:
        self._format = audio_format
        self._decoder = decoder
        self._sink = sink
        self._max_waiting_bytes = max_waiting_bytes
        self._max_pending_bytes = max_waiting_bytes // 2
        self._waiting: deque[ClientMessage | _Silence] = deque()
        self._waiting_bytes = 0
        self._has_finished = False
        self._piece_bytes = self._bytes_per_piece()

    def _bytes_per_piece(self) -> int | None:
        """A second of raw audio; None for encodings whose messages cannot be cut."""
        if not self._format.encoding.is_raw:
            return None
        return self._format.bytes_per_instant * self._format.sample_rate_hz * _PIECE_MS // 1_000

    def accept(self, message: ClientMessage) -> None:
        if self._has_finished:
            if type(message) is KeepAlive:
                return
            raise ClientFault(Reason.unexpected_message, "nothing may follow `finish`")
        if type(message) is Finish:
            self._has_finished = True
        if self._waiting or not self._may_process():
            self._wait(message)
            return
        if type(message) is Audio:
            self._process_audio(message.data)
        else:
            self._process(message)
        if self._waiting:
            self.go_on()

    def go_on(self) -> None:
        """The session has room again: process what waits, as far as the room goes."""
        while self._waiting and self._may_process():
            message = self._waiting.popleft()
            if type(message) is Audio:
                self._waiting_bytes -= len(message.data)
            self._process(message)

    @property
    def waiting_bytes(self) -> int:
        """Taken from the client and not yet decoded: the transport reads on only while it is small."""
        return self._waiting_bytes + self._decoder.pending_bytes

    @property
    def is_waiting(self) -> bool:
        """Whether the transport should not read on, as far as this pipeline goes."""
        return bool(self._waiting) or self._decoder.pending_bytes > self._max_pending_bytes

    def hold(self, is_held: bool) -> None:
        """The session is full, or has room again: a decoder that works by itself is told."""
        (self._decoder.pause if is_held else self._decoder.resume)()

    def _may_process(self) -> bool:
        return self._sink.has_room() and self._decoder.pending_bytes <= self._max_pending_bytes

    def _wait(self, message: ClientMessage) -> None:
        if type(message) is Audio:
            self._waiting_bytes += len(message.data)
        if self._waiting_bytes > self._max_waiting_bytes or len(self._waiting) >= self._max_waiting_bytes // 64:
            raise ClientFault(Reason.client_too_slow, "more audio came than the session could hold; heed flow control")
        self._waiting.append(message)

    def _process(self, message: ClientMessage | _Silence) -> None:
        if type(message) is Audio:  # nearly all are; a class pattern costs six times as much
            self._process_audio(message.data)
            return
        match message:
            case Gap(samples):
                self._process_gap(samples)
            case _Silence(samples):
                self._decoder.feed_silence(samples)
            case Finalize(request_id):
                self._decoder.mark(lambda: self._sink.finalize(request_id))
            case Finish():
                self._decoder.finish(self._sink.finish)
            case KeepAlive():
                self._sink.keepalive()
            case Start():
                raise ClientFault(Reason.unexpected_message, "`start` may come only once, as the first message")

    def _process_audio(self, data: bytes) -> None:
        """Feed a second at most; the rest waits its turn. A misaligned message goes whole, to be refused whole."""
        piece = self._piece_bytes
        if piece is None or len(data) <= piece or len(data) % self._format.bytes_per_instant:
            self._decoder.feed(data)
            return
        self._decoder.feed(data[:piece])
        self._waiting.extendleft(Audio(data[at : at + piece]) for at in reversed(range(piece, len(data), piece)))
        self._waiting_bytes += len(data) - piece

    def _process_gap(self, samples: int) -> None:
        """Told as a whole, and silent a second at a time."""
        extent = self._decoder.extent_of_gap(samples)
        rate_hz = self._format.sample_rate_hz
        longest = rate_hz * MAX_GAP_MS // 1_000
        if not 0 < samples <= longest:
            raise ClientFault(
                Reason.malformed_message,
                f"a gap may have 1 to {longest} samples at {rate_hz} Hz, and several may follow",
            )
        self._sink.lost(extent)
        whole, rest = divmod(samples, rate_hz)
        self._waiting.extendleft([_Silence(rest)] * bool(rest) + [_Silence(rate_hz)] * whole)

    def close(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        self._decoder.close()
