"""What `patchbay transcribe` sends: a file's bytes as they are, or raw samples, in pieces that last 100 or 20 ms.

A recording is never in memory as a whole.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.wire.messages import AudioSpec
from policies.facts import AudioEncoding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PIECE_MS = 100
DATAGRAM_PIECE_MS = 20
"""Of audio in datagrams: a loss shows when the next piece comes (docs/webtransport.md)."""
MAX_PIECE_BYTES = 262_144
"""However long the file says it lasts; 100 ms of the widest raw audio that a gateway takes have 153,600."""
_STDIN_PIECE_BYTES = 65_536
_STDIN_WAITING_PIECES = 4
_HEAD_BYTES = 4

_MAGIC = (
    (b"RIFF", AudioEncoding.wav),
    (b"fLaC", AudioEncoding.flac),
    (b"OggS", AudioEncoding.ogg_opus),
    (b"\x1a\x45\xdf\xa3", AudioEncoding.webm_opus),
    (b"ID3", AudioEncoding.mp3),
)


_DEMUXERS = {
    AudioEncoding.wav: "wav",
    AudioEncoding.flac: "flac",
    AudioEncoding.ogg_opus: "ogg",
    AudioEncoding.webm_opus: "matroska",
    AudioEncoding.mp3: "mp3",
}
"""FFmpeg's names. Left to itself it takes any bytes for something, a playlist of other files among it."""


class UnknownRecording(Exception):
    """The file is not one of the kinds that describe themselves; the text says what may be done."""


class InputLost(Exception):
    """Reading broke off; the text says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to be sent, `piece_ms` of it at a time. `duration_ms` is None where nobody knows it; `num_bytes` are whole
    samples if they are raw.
    """

    audio: AudioSpec
    path: Path
    num_bytes: int
    duration_ms: int | None
    piece_ms: int = PIECE_MS

    @property
    def piece_bytes(self) -> int:
        """Bytes that last about `piece_ms`; whole samples if they are raw."""
        instant = _bytes_per_instant(self.audio)
        if not self.duration_ms:
            return _STDIN_PIECE_BYTES // instant * instant
        wanted = min(MAX_PIECE_BYTES, self.num_bytes * self.piece_ms // self.duration_ms)
        return max(instant, wanted // instant * instant)


def _bytes_per_instant(audio: AudioSpec) -> int:
    encoding = AudioEncoding(audio.encoding)
    return encoding.bytes_per_sample * audio.channels if encoding.is_raw else 1


def read_recording(path: Path, raw: AudioSpec | None) -> Recording:
    """Look at a file; `raw` says what its bytes are, else its first bytes do.

    Raises:
        OSError: it cannot be read.
        UnknownRecording: it is no file, or its first bytes say nothing.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnknownRecording("not a regular file; pipe it into `patchbay transcribe -` and give --encoding")
        audio = raw or AudioSpec(encoding=_encoding_of(file.read(_HEAD_BYTES)))
    instant = _bytes_per_instant(audio)
    num_bytes = status.st_size // instant * instant
    return Recording(audio, path, num_bytes, _duration_ms(path, num_bytes, audio))


def _encoding_of(head: bytes) -> str:
    for magic, encoding in _MAGIC:
        if head.startswith(magic):
            return encoding.value
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # an MPEG audio frame's sync word
        return AudioEncoding.mp3.value
    raise UnknownRecording("neither WAV, FLAC, Ogg, WebM nor MP3; give --encoding and --rate for raw audio")


def _duration_ms(path: Path, num_bytes: int, audio: AudioSpec) -> int | None:
    encoding = AudioEncoding(audio.encoding)
    if encoding.is_raw:
        return num_bytes // _bytes_per_instant(audio) * 1_000 // audio.sample_rate_hz or None
    import av

    try:
        with av.open(str(path), format=_DEMUXERS[encoding]) as container:
            return None if container.duration is None else container.duration * 1_000 // av.time_base
    except av.FFmpegError:
        return None  # the gateway will say what is wrong with it


async def paced(
    recording: Recording, speed: float, *, from_byte: int = 0, began_s: float | None = None
) -> AsyncIterator[bytes]:
    """The recording in pieces, `speed` times as fast as it was spoken; 0 is as fast as the gateway takes it.

    Args:
        from_byte: what lies before is left out.
        began_s: when its first byte was due, on the loop's clock; what is late goes at once. None: now.

    Raises:
        InputLost: the file could not be read to its end.
    """
    loop = asyncio.get_running_loop()
    first_s = loop.time() if began_s is None else began_s
    sent_bytes = from_byte
    try:
        for piece in _pieces(recording, from_byte):
            if speed > 0 and recording.duration_ms:
                due_s = first_s + sent_bytes / recording.num_bytes * recording.duration_ms / 1_000 / speed
                await asyncio.sleep(max(0.0, due_s - loop.time()))
            yield piece
            sent_bytes += len(piece)
    except OSError as error:
        raise InputLost(error.strerror or str(error)) from error
    if sent_bytes < recording.num_bytes:
        raise InputLost("the file became shorter while it was sent")


def _pieces(recording: Recording, from_byte: int) -> Iterator[bytes]:
    left_bytes = recording.num_bytes - from_byte
    with recording.path.open("rb") as file:
        file.seek(from_byte)
        while piece := file.read(min(recording.piece_bytes, left_bytes)):
            left_bytes -= len(piece)
            yield piece


async def from_stdin(audio: AudioSpec, descriptor: int = 0) -> AsyncIterator[bytes]:
    """Standard input as it comes, in whole samples.

    Raises:
        InputLost: it cannot be read.
    """
    instant = _bytes_per_instant(audio)
    rest = b""
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue(_STDIN_WAITING_PIECES)
    # A daemon: nobody can interrupt its read, so nobody may wait for it when the session is over.
    threading.Thread(
        target=_read_for_ever, args=(descriptor, chunks, asyncio.get_running_loop()), daemon=True, name="stdin"
    ).start()
    while chunk := await chunks.get():
        if isinstance(chunk, OSError):
            raise InputLost(chunk.strerror or str(chunk))
        chunk = rest + chunk
        whole = len(chunk) // instant * instant
        rest = chunk[whole:]
        if whole:
            yield chunk[:whole]


def _read_for_ever(descriptor: int, chunks: asyncio.Queue[bytes | OSError], loop: asyncio.AbstractEventLoop) -> None:
    """Until the end of the input, or of the loop."""
    while True:
        chunk: bytes | OSError
        try:
            chunk = os.read(descriptor, _STDIN_PIECE_BYTES)
        except OSError as error:
            chunk = error
        putting = chunks.put(chunk)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        except (RuntimeError, CancelledError):  # the loop is closed
            putting.close()
            return
        if isinstance(chunk, OSError) or not chunk:
            return
