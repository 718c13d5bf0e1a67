"""Speech in every format a client may send, made by the encoders that clients use: libav's, soxr, plain numpy."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.codec.context import CodecContext

from tests.harness.recordings import RATE_HZ, Samples

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

Channels = npt.NDArray[np.int16]
"""(num_samples, channels) int16."""

OPUS_RATE_HZ = 48_000
_FRAMES_PER_SECOND = 50
_LIVE_WEBM = {"live": "1", "cluster_time_limit": "1000"}
"""As a browser's MediaRecorder writes: sizes unknown, no index."""


def resampled(samples: Samples, rate_hz: int) -> Samples:
    """(num_samples,) from 16 kHz to another rate."""
    if rate_hz == RATE_HZ:
        return samples
    wide = soxr.resample(samples.astype(np.float32), RATE_HZ, rate_hz, quality="VHQ")
    narrow: Samples = np.clip(np.rint(wide), -32_768, 32_767).astype(np.int16)
    return narrow


def side_by_side(left: Samples, right: Samples) -> Channels:
    """Stereo; the shorter one is silent in the end."""
    both = np.zeros((max(len(left), len(right)), 2), np.int16)
    both[: len(left), 0] = left
    both[: len(right), 1] = right
    return both


def encode_raw(encoding: str, sound: Channels) -> bytes:
    """Samples of all channels in turn, in one of the four raw encodings."""
    flat = np.ascontiguousarray(sound).reshape(-1)
    match encoding:
        case "pcm_s16le":
            return flat.astype("<i2").tobytes()
        case "pcm_f32le":
            return (flat.astype("<f4") / 32_768).tobytes()
        case "mulaw" | "alaw":
            return _companded({"mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}[encoding], flat)
    raise ValueError(f"{encoding} is not raw")


def _companded(codec: str, flat: Samples) -> bytes:
    """ITU-T G.711, which knows nothing of rates and channels: one long mono frame."""
    encoder = CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8_000, "mono", "s16"  # type: ignore[attr-defined]
    encoder.time_base = Fraction(1, 8_000)
    frame = av.AudioFrame.from_ndarray(flat.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8_000
    packets = [*encoder.encode(frame), *encoder.encode(None)]  # type: ignore[attr-defined]
    return b"".join(bytes(packet) for packet in packets)


def encode_opus_packets(sound: Channels, *, bit_rate: int) -> list[bytes]:
    """20 ms packets without a container, of sound at 48 kHz, as WebRTC clients send them."""
    encoder = CodecContext.create("libopus", "w")
    layout = _layout(sound)
    encoder.sample_rate, encoder.layout, encoder.format = OPUS_RATE_HZ, layout, "s16"
    encoder.time_base, encoder.bit_rate = Fraction(1, OPUS_RATE_HZ), bit_rate
    packets = []
    for frame in [*_frames(sound, OPUS_RATE_HZ), None]:
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def encode_file(encoding: str, sound: Channels, rate_hz: int, *, bit_rate: int = 0) -> bytes:
    """A stream of an encoding that describes itself, written as if to a network: nothing is patched later."""
    container, codec, options = {
        "wav": ("wav", "pcm_s16le", {}),
        "flac": ("flac", "flac", {}),
        "mp3": ("mp3", "libmp3lame", {}),
        "ogg_opus": ("ogg", "libopus", {}),
        "webm_opus": ("webm", "libopus", _LIVE_WEBM),
    }[encoding]
    sink = _Sink()
    with av.open(sink, "w", format=container, options=options) as file:
        stream: AudioStream = file.add_stream(codec, rate=rate_hz, layout=_layout(sound))  # type: ignore[assignment]
        if bit_rate:
            stream.bit_rate = bit_rate
        for frame in _frames(sound, rate_hz):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return bytes(sink.written)


class _Sink(io.RawIOBase):
    """A file that cannot be sought in."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written += data
        return len(data)


def _layout(sound: Channels) -> str:
    return {1: "mono", 2: "stereo"}[sound.shape[1]]


def _frames(sound: Channels, rate_hz: int) -> list[av.AudioFrame]:
    """20 ms each, the last one shorter."""
    size = rate_hz // _FRAMES_PER_SECOND
    frames = []
    for start in range(0, len(sound), size):
        data = np.ascontiguousarray(sound[start : start + size]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format="s16", layout=_layout(sound))
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
        frames.append(frame)
    return frames
