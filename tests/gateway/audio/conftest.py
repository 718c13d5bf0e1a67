"""Sound, files of it made by real encoders, and a session's view of a decoder."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.codec.context import CodecContext

from gateway.audio.byte_queue import STARVING, ByteQueue
from gateway.audio.decoders import AudioDecoders
from gateway.audio.settings import AudioSettings
from gateway.audio.stream_events import Packet, StreamStart
from policies.facts import AudioEncoding, AudioFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.audio.interface import AudioDecoder
    from gateway.audio.stream_events import StreamReader
    from gateway.errors import SessionRefused

Samples = npt.NDArray[np.int16]
DEADLINE_S = 60


def speech_like(rate_hz: int, *, duration_ms: int = 2_000, channels: int = 1) -> Samples:
    """(num_samples, channels): syllables of a gliding voice with formants and a little breath; each channel another."""
    t = np.arange(rate_hz * duration_ms // 1_000) / rate_hz
    sounds = []
    for channel in range(channels):
        phase = 2 * np.pi * np.cumsum(120 + 37 * channel + 40 * np.sin(2 * np.pi * 0.7 * t)) / rate_hz
        voice = sum(np.sin(k * phase) / k for k in range(1, 18))
        envelope = np.clip(np.sin(2 * np.pi * 3.1 * t + channel), 0, 1) ** 0.5
        # White at every rate, from one seed: what has no period makes the alignment unambiguous.
        breath = np.interp(t, np.arange(8_000) / 4_000, np.random.default_rng(channel).standard_normal(8_000))
        sounds.append((voice * 0.2 + breath * 0.05) * envelope)
    return (np.stack(sounds, 1) * 12_000).astype(np.int16)


def encode_file(
    container: str,
    codec: str,
    sound: Samples,
    rate_hz: int,
    *,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    bit_rate: int = 0,
    sample_format: str = "s16",
) -> bytes:
    """A file that cannot be sought in, as an encoder writes it to a network."""

    class Sink(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return False

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.written += data
            return len(data)

    sink = Sink()
    layout = "mono" if sound.shape[1] == 1 else "stereo"
    with av.open(sink, "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate_hz, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        stream.options = codec_options or {}
        wide = {
            "s16": sound,
            "s32": sound.astype(np.int32) << 16,
            "flt": sound.astype(np.float32) / 32_768,
            "fltp": sound.astype(np.float32) / 32_768,
        }[sample_format]
        step = rate_hz // 50
        for start in range(0, len(wide), step):
            piece = wide[start : start + step]
            laid = piece.T if sample_format.endswith("p") else piece.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(laid), format=sample_format, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return bytes(sink.written)


def encode_opus_packets(sound: Samples, *, packet_ms: str = "20", bit_rate: int = 32_000) -> list[bytes]:
    """Packets without a container, of sound at 48 kHz."""
    encoder = CodecContext.create("libopus", "w")
    layout = "mono" if sound.shape[1] == 1 else "stereo"
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, layout, "s16"  # type: ignore[attr-defined]
    encoder.time_base, encoder.bit_rate = Fraction(1, 48_000), bit_rate
    encoder.options = {"frame_duration": packet_ms}
    packets = []
    for start in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound[start : start + 960]).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        packets += [bytes(packet) for packet in encoder.encode(frame)]  # type: ignore[attr-defined]
    return packets + [bytes(packet) for packet in encoder.encode(None)]  # type: ignore[attr-defined]


WEBM_LIVE = {"live": "1", "cluster_time_limit": "1000"}
"""As MediaRecorder writes: sizes unknown, no index."""


def encode(encoding: AudioEncoding, sound: Samples, rate_hz: int) -> bytes:
    """A stream of a self-describing encoding as its usual encoder makes it."""
    match encoding:
        case AudioEncoding.wav:
            return encode_file("wav", "pcm_s16le", sound, rate_hz)
        case AudioEncoding.flac:
            return encode_file("flac", "flac", sound, rate_hz)
        case AudioEncoding.mp3:
            return encode_file("mp3", "libmp3lame", sound, rate_hz, bit_rate=64_000)
        case AudioEncoding.ogg_opus:
            return encode_file("ogg", "libopus", sound, rate_hz, bit_rate=48_000)
        case AudioEncoding.webm_opus:
            return encode_file("webm", "libopus", sound, rate_hz, bit_rate=48_000, options=WEBM_LIVE)
    raise ValueError(f"{encoding} does not describe itself")


def format_of(encoding: AudioEncoding, *, rate_hz: int = 16_000, channels: int = 1, channel: int = 0) -> AudioFormat:
    return AudioFormat(encoding, rate_hz, channels, channel)


@dataclass
class Listener:
    """What a decoder called back, in order: PCM, names of marks, `finished`, the error."""

    heard: list[bytes | str] = field(default_factory=list)
    errors: list[SessionRefused] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_pcm(self, pcm16: bytes) -> None:
        assert not self.errors
        self.heard.append(pcm16)
        self.changed.set()

    def on_error(self, error: SessionRefused) -> None:
        self.errors.append(error)
        self.changed.set()

    def reached(self, name: str) -> Callable[[], None]:
        def on_reached() -> None:
            self.heard.append(name)
            self.changed.set()

        return on_reached

    @property
    def pcm(self) -> bytes:
        return b"".join(piece for piece in self.heard if isinstance(piece, bytes))

    @property
    def samples(self) -> Samples:
        return np.frombuffer(self.pcm, "<i2")

    @property
    def is_over(self) -> bool:
        return bool(self.errors) or "finished" in self.heard

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def open_decoder(audio_format: AudioFormat, listener: Listener, settings: AudioSettings | None = None) -> AudioDecoder:
    """One decoder of a process of its own. Call it on a running loop."""
    decoders = AudioDecoders(settings or AudioSettings(), asyncio.get_running_loop())
    return decoders.open(audio_format, on_pcm=listener.on_pcm, on_error=listener.on_error)


async def decode(audio_format: AudioFormat, pieces: Iterable[bytes], settings: AudioSettings | None = None) -> Listener:
    """Feed all pieces, finish, and wait for the end."""
    listener = Listener()
    decoder = open_decoder(audio_format, listener, settings)
    for piece in pieces:
        decoder.feed(piece)
    decoder.finish(listener.reached("finished"))
    await listener.until(lambda: listener.is_over)
    decoder.close()
    return listener


def read_packets(read: Callable[[ByteQueue], StreamReader], pieces: Iterable[bytes]) -> list[StreamStart | Packet]:
    """What a reader finds in pieces of a stream and its end. Guesses are never right here."""
    queue = ByteQueue("test", AudioSettings())
    reader = read(queue)
    waiting = iter([*pieces, None])
    found: list[StreamStart | Packet] = []
    for event in reader:
        if event is STARVING:
            piece = next(waiting)
            if piece is None:
                queue.end()
            else:
                queue.append(piece)
        elif isinstance(event, StreamStart | Packet):
            found.append(event)
    return found


def cut(data: bytes, num_bytes: int) -> list[bytes]:
    return [data[start : start + num_bytes] for start in range(0, len(data), num_bytes)]


def alignment(heard: Samples, sound: Samples, rate_hz: int) -> tuple[float, float]:
    """How alike two sounds are at the best shift (1 is the same up to loudness), and that shift in ms.

    Args:
        heard: (num_samples,) at 16 kHz. `sound`: (num_samples,) at `rate_hz`.
    """
    import soxr

    wanted = soxr.resample(sound.astype(np.float32), rate_hz, 16_000)
    size = 1 << int(len(heard) + len(wanted)).bit_length()
    # Sixteen times finer than the samples: a resampler may be off by a part of one.
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    product = np.fft.irfft(spectrum, 16 * size) * 16
    best = int(np.argmax(product))
    shift = (best - 16 * size if best > 8 * size else best) / 16
    likeness = float(
        product[best] / np.sqrt((heard.astype(np.float64) ** 2).sum() * (wanted.astype(np.float64) ** 2).sum())
    )
    return likeness, shift / 16


class Studio:
    """What tests of this room share; a fixture because test folders are no packages."""

    Listener = Listener
    WEBM_LIVE = WEBM_LIVE
    speech_like = staticmethod(speech_like)
    encode = staticmethod(encode)
    encode_file = staticmethod(encode_file)
    encode_opus_packets = staticmethod(encode_opus_packets)
    format_of = staticmethod(format_of)
    open = staticmethod(open_decoder)
    decode = staticmethod(decode)
    cut = staticmethod(cut)
    alignment = staticmethod(alignment)
    read_packets = staticmethod(read_packets)


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio()


@pytest.fixture(params=[encoding for encoding in AudioEncoding if encoding.is_self_describing], ids=str)
def self_describing(request: pytest.FixtureRequest) -> AudioEncoding:
    encoding: AudioEncoding = request.param
    return encoding
