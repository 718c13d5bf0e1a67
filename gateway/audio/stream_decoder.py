"""Decodes streams that describe themselves (WAV, FLAC, MP3, Ogg, WebM) as they come, in small steps on the loop.

The stream's reader finds packets, a codec turns each into samples, the resampler into PCM. Each step is one of: a piece
of input handed to the reader, one packet decoded, one slab of samples resampled and given out. What a step may cost is
bounded whatever the bytes say; memory is bounded by what the reader holds (at most 256 KiB, then it refuses), one
decoded packet, and `max_pending_bytes` of input.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gateway.audio.byte_queue import ByteQueue, Starving
from gateway.audio.codecs import BadPacket, Decoded, open_packet_decoder
from gateway.audio.faults import bad_format, undecodable
from gateway.audio.flac import read_flac
from gateway.audio.inline import ignore
from gateway.audio.interface import MAX_PCM_BYTES
from gateway.audio.mp3 import read_mp3
from gateway.audio.ogg_opus import read_ogg_opus
from gateway.audio.resample import Resampler
from gateway.audio.stream_events import Guess, Packet, StreamStart
from gateway.audio.wav import read_wav
from gateway.audio.webm_opus import read_webm_opus
from gateway.errors import ClientFault, Reason, SessionRefused
from policies.facts import MAX_CHANNELS, AudioEncoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.audio.codecs import PacketDecoder
    from gateway.audio.interface import GapExtent, OnError, OnPcm, OnReached
    from gateway.audio.settings import AudioSettings
    from gateway.audio.stream_events import StreamEvent, StreamReader
    from gateway.audio.turns import Turns
    from policies.facts import AudioFormat

READERS: dict[AudioEncoding, Callable[[ByteQueue], StreamReader]] = {
    AudioEncoding.wav: read_wav,
    AudioEncoding.flac: read_flac,
    AudioEncoding.mp3: read_mp3,
    AudioEncoding.ogg_opus: read_ogg_opus,
    AudioEncoding.webm_opus: read_webm_opus,
}

MIN_STREAM_RATE_HZ = 6_000
MAX_STREAM_RATE_HZ = 192_000
_PIECE_BYTES = 2_048
"""Bounds how long a reader may scan in one step."""
_SLAB_SAMPLES = 8_192
"""At most 2 s of sound in one step."""


class _Mark:
    __slots__ = ("is_end", "on_reached")

    def __init__(self, on_reached: OnReached, *, is_end: bool) -> None:
        self.on_reached = on_reached
        self.is_end = is_end


class StreamDecoder:
    """An AudioDecoder that works in steps. `on_closed` is called once, when it needs its place no more."""

    is_inline = False

    def __init__(
        self,
        audio_format: AudioFormat,
        *,
        turns: Turns,
        settings: AudioSettings,
        on_pcm: OnPcm,
        on_error: OnError,
        on_closed: OnReached,
    ) -> None:
        self._encoding = audio_format.encoding
        self._channel = audio_format.channel
        self._turns = turns
        self._settings = settings
        self._on_pcm = on_pcm
        self._on_error = on_error
        self._on_closed = on_closed

        self._inputs: deque[bytes | memoryview | _Mark] = deque()
        self._pending_bytes = 0
        self._queue = ByteQueue(audio_format.encoding, settings)
        self._reader: StreamReader | None = READERS[audio_format.encoding](self._queue)
        self._was_guess_right: bool | None = None
        self._finish: _Mark | None = None

        self._codec: PacketDecoder | None = None
        self._skip_samples = 0
        self._bad_packets = 0
        self._rate_hz = 0
        self._resampler: Resampler | None = None
        self._slabs: deque[Decoded] = deque()
        self._pcm: deque[bytes] = deque()

        self._is_input_over = False
        self._is_paused = False
        self._is_closed = False
        self._is_in_turns = False

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes

    def feed(self, data: bytes) -> None:
        if self._is_input_over or not data:
            return
        self._pending_bytes += len(data)
        if self._pending_bytes > self._settings.max_pending_bytes:
            self._fail(
                ClientFault(
                    Reason.message_too_large,
                    f"more than {self._settings.max_pending_bytes} bytes wait to be decoded; send no faster than flow"
                    " control allows",
                )
            )
            return
        self._inputs.append(data)
        self._wake()

    def extent_of_gap(self, samples: int) -> GapExtent:
        raise self._no_gap()

    def feed_silence(self, samples: int) -> None:
        raise self._no_gap()

    def _no_gap(self) -> ClientFault:
        return ClientFault(
            Reason.unexpected_message,
            f"a `gap` has no place in a stream of {self._encoding}, which tells positions itself; only raw audio and "
            "Opus packets have gaps",
        )

    def mark(self, on_reached: OnReached) -> None:
        if not self._is_input_over:
            self._inputs.append(_Mark(on_reached, is_end=False))
            self._wake()

    def finish(self, on_finished: OnReached) -> None:
        if not self._is_input_over:
            self._is_input_over = True
            self._inputs.append(_Mark(on_finished, is_end=True))
            self._wake()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._wake()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._is_input_over = True
        self._on_pcm = ignore
        self._on_error = ignore
        self._inputs.clear()
        self._pending_bytes = 0
        self._reader = None
        self._codec = None
        self._resampler = None
        self._slabs.clear()
        self._pcm.clear()
        self._on_closed()

    def _wake(self) -> None:
        if not self._is_in_turns and not self._is_paused and not self._is_closed:
            self._is_in_turns = True
            self._turns.join(self)

    def step(self) -> bool:
        """See gateway.audio.turns.Worker."""
        try:
            has_more = not self._is_paused and not self._is_closed and self._work()
        except SessionRefused as refused:
            self._fail(refused)
            has_more = False
        except Exception:
            self._fail(SessionRefused(Reason.internal_error))
            raise
        finally:
            self._is_in_turns = False
        self._is_in_turns = has_more = has_more and not self._is_paused and not self._is_closed
        return has_more

    def _fail(self, refused: SessionRefused) -> None:
        on_error = self._on_error
        self.close()
        on_error(refused)

    def _work(self) -> bool:
        """The work nearest to the output first, so that little waits in between."""
        if self._pcm:
            self._on_pcm(self._pcm.popleft())
            return True
        if self._slabs:
            self._resample(self._slabs.popleft())
            return True
        if self._reader is not None:
            return self._read(self._reader)
        return self._end_or_ignore()

    def _read(self, reader: StreamReader) -> bool:
        reply, self._was_guess_right = self._was_guess_right, None
        try:
            event = next(reader) if reply is None else reader.send(reply)
        except StopIteration:
            self._reader = None
            return True
        return self._handle(event)

    def _handle(self, event: StreamEvent) -> bool:
        match event:
            case Starving():
                return self._give_input()
            case Packet(data, discard_end_samples):
                self._decode(data, discard_end_samples)
            case Guess(data, may_wait):
                has_input = bool(self._inputs) and not isinstance(self._inputs[0], _Mark)
                self._was_guess_right = not (may_wait and has_input) and self._try(data)
            case StreamStart():
                self._start(event)
        return True

    def _give_input(self) -> bool:
        if not self._inputs:
            return False
        item = self._inputs.popleft()
        if isinstance(item, _Mark):
            if item.is_end:
                self._finish = item
                self._queue.end()
            else:
                item.on_reached()
            return True
        piece = item[:_PIECE_BYTES]
        if len(item) > _PIECE_BYTES:
            # A view: cutting a large message copies it once in all, not once for each piece.
            self._inputs.appendleft(memoryview(item)[_PIECE_BYTES:])
        self._pending_bytes -= len(piece)
        self._queue.append(piece)
        return True

    def _start(self, start: StreamStart) -> None:
        if not MIN_STREAM_RATE_HZ <= start.sample_rate_hz <= MAX_STREAM_RATE_HZ:
            raise bad_format(
                f"the sample rate of a stream must be {MIN_STREAM_RATE_HZ} to {MAX_STREAM_RATE_HZ} Hz, "
                f"not {start.sample_rate_hz}"
            )
        if start.channels > MAX_CHANNELS:
            raise bad_format(f"a stream may have 1 to {MAX_CHANNELS} channels, not {start.channels}")
        if self._channel >= start.channels:
            raise bad_format(f"channel must be 0 to {start.channels - 1} for this stream, not {self._channel}")
        self._codec = open_packet_decoder(start, self._channel)
        self._skip_samples = start.skip_samples

    def _decode(self, data: bytes, discard_end_samples: int) -> None:
        assert self._codec is not None
        self._queue.audio_found()
        try:
            decoded = self._codec.decode(data)
        except BadPacket:
            if self._queue.is_ended and not len(self._queue):
                return  # The stream was cut off in the middle of its last packet.
            self._bad_packets += 1
            if self._bad_packets > self._settings.max_bad_packets:
                raise undecodable(
                    f"{self._bad_packets} packets in a row are not {self._encoding} that can be decoded"
                ) from None
            return
        self._bad_packets = 0
        self._take(decoded, discard_end_samples)

    def _try(self, data: bytes) -> bool:
        """Whether the bytes are one whole packet, no less and no more; then it is decoded."""
        assert self._codec is not None
        try:
            decoded = self._codec.decode(data)
        except BadPacket:
            return False
        try:
            self._codec.decode(data[:-1])
        except BadPacket:
            self._queue.audio_found()
            self._bad_packets = 0
            self._take(decoded, 0)
            return True
        return False

    def _take(self, decoded: list[Decoded], discard_end_samples: int) -> None:
        for piece in decoded:
            samples = piece.samples
            skipped = min(self._skip_samples, len(samples))
            self._skip_samples -= skipped
            end = len(samples) - (discard_end_samples if piece is decoded[-1] else 0)
            for start in range(skipped, end, _SLAB_SAMPLES):
                self._slabs.append(Decoded(samples[start : min(start + _SLAB_SAMPLES, end)], piece.rate_hz))

    def _resample(self, slab: Decoded) -> None:
        pcm16 = b""
        if self._resampler is None or slab.rate_hz != self._rate_hz:
            if self._resampler is not None:
                pcm16 = self._resampler.finish()
            self._rate_hz = slab.rate_hz
            self._resampler = Resampler(slab.rate_hz)
        self._give(pcm16 + self._resampler.accept(slab.samples))

    def _give(self, pcm16: bytes) -> None:
        self._pcm.extend(pcm16[at : at + MAX_PCM_BYTES] for at in range(0, len(pcm16), MAX_PCM_BYTES))

    def _end_or_ignore(self) -> bool:
        """The stream is over. Bytes that still come are ignored, marks are not."""
        if self._finish is None:
            return self._give_input()
        if self._resampler is not None:
            self._give(self._resampler.finish())
            self._resampler = None
            return True
        on_finished = self._finish.on_reached
        self.close()
        on_finished()
        return False
