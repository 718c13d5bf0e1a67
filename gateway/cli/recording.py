"""What `patchbay transcribe` sends: a file's bytes as they are, or raw samples, in pieces that last 100 ms."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.wire.messages import AudioSpec
from policies.facts import AudioEncoding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PIECE_MS = 100
_STDIN_PIECE_BYTES = 65_536

_MAGIC = (
    (b"RIFF", AudioEncoding.wav),
    (b"fLaC", AudioEncoding.flac),
    (b"OggS", AudioEncoding.ogg_opus),
    (b"\x1a\x45\xdf\xa3", AudioEncoding.webm_opus),
    (b"ID3", AudioEncoding.mp3),
)


class UnknownRecording(Exception):
    """The file is not one of the kinds that describe themselves; the text says what may be done."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to be sent. `duration_ms` is None where nobody knows it."""

    audio: AudioSpec
    data: bytes
    duration_ms: int | None

    @property
    def piece_bytes(self) -> int:
        """Bytes that last about `PIECE_MS`; whole samples if they are raw."""
        instant = _bytes_per_instant(self.audio)
        if not self.duration_ms:
            return _STDIN_PIECE_BYTES // instant * instant
        return max(instant, len(self.data) * PIECE_MS // self.duration_ms // instant * instant)


def _bytes_per_instant(audio: AudioSpec) -> int:
    encoding = AudioEncoding(audio.encoding)
    return encoding.bytes_per_sample * audio.channels if encoding.is_raw else 1


def read_recording(path: Path, raw: AudioSpec | None) -> Recording:
    """Read a whole file; `raw` says what its bytes are, else its first bytes do.

    Raises:
        OSError: it cannot be read.
        UnknownRecording: its first bytes say nothing.
    """
    data = path.read_bytes()
    audio = raw or AudioSpec(encoding=_encoding_of(data))
    return Recording(audio, data, _duration_ms(path, data, audio))


def _encoding_of(data: bytes) -> str:
    for magic, encoding in _MAGIC:
        if data.startswith(magic):
            return encoding.value
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:  # an MPEG audio frame's sync word
        return AudioEncoding.mp3.value
    raise UnknownRecording("neither WAV, FLAC, Ogg, WebM nor MP3; give --encoding and --rate for raw audio")


def _duration_ms(path: Path, data: bytes, audio: AudioSpec) -> int | None:
    if AudioEncoding(audio.encoding).is_raw:
        return len(data) // _bytes_per_instant(audio) * 1_000 // audio.sample_rate_hz or None
    import av

    try:
        with av.open(str(path)) as container:
            return None if container.duration is None else container.duration * 1_000 // av.time_base
    except av.FFmpegError:
        return None  # the gateway will say what is wrong with it


async def paced(recording: Recording, speed: float) -> AsyncIterator[bytes]:
    """The recording in pieces, `speed` times as fast as it was spoken; 0 is as fast as the gateway takes it."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    piece = recording.piece_bytes
    for number, at in enumerate(range(0, len(recording.data), piece)):
        if speed > 0 and recording.duration_ms:
            due_s = began_s + number * PIECE_MS / 1_000 / speed
            await asyncio.sleep(max(0.0, due_s - loop.time()))
        yield recording.data[at : at + piece]


async def from_stdin(audio: AudioSpec) -> AsyncIterator[bytes]:
    """Standard input as it comes, in whole samples."""
    instant = _bytes_per_instant(audio)
    rest = b""
    descriptor = sys.stdin.fileno()
    while chunk := await asyncio.to_thread(os.read, descriptor, _STDIN_PIECE_BYTES):
        chunk = rest + chunk
        whole = len(chunk) // instant * instant
        rest = chunk[whole:]
        if whole:
            yield chunk[:whole]
