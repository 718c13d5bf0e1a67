"""Audio that can be sent again from an earlier place: a file is read again, what came once is kept while needed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from gateway.cli.recording import InputLost, paced
from gateway.wire.resume_cut import cut_for
from policies.facts import AudioEncoding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.cli.recording import Recording
    from gateway.wire.messages import AudioSpec
    from gateway.wire.resume_cut import AudioCut

_KEPT_BYTES = 16 * 1_048_576
_KEPT_S = 75
"""A gateway holds 60 s of audio that is not final, and takes a little more."""


class AudioSource(Protocol):
    """What a session sends."""

    @property
    def audio(self) -> AudioSpec: ...

    async def fill(self) -> None:
        """Runs beside the session, until the audio has ended or it is cancelled. Raises InputLost."""

    def pieces(self, cut: AudioCut) -> AsyncIterator[bytes]:
        """From there to the end. A later call begins anew. Raises InputLost."""

    def release(self, committed_sample: int) -> None:
        """What lies before is final."""

    def has(self, cut: AudioCut) -> bool:
        """Whether all from there on can still be sent."""


class FileAudio:
    """A recording, read again from where it is needed; pieces that are late are sent as fast as they are taken."""

    def __init__(self, recording: Recording, speed: float) -> None:
        self.audio = recording.audio
        self._recording = recording
        self._speed = speed
        self._began_s: float | None = None

    async def fill(self) -> None:
        return None

    def pieces(self, cut: AudioCut) -> AsyncIterator[bytes]:
        if self._began_s is None:
            self._began_s = asyncio.get_running_loop().time()
        return paced(self._recording, self._speed, from_byte=cut.from_byte, began_s=self._began_s)

    def release(self, committed_sample: int) -> None: ...

    def has(self, _cut: AudioCut) -> bool:
        return True


class KeptAudio:
    """Audio that comes once, such as standard input. Raw audio is kept until it is final; a session that cannot go on
    without its beginning keeps all of it, up to `max_bytes`, and then cannot be gone on with.
    """

    def __init__(self, audio: AudioSpec, pieces: AsyncIterator[bytes], *, max_bytes: int | None = None) -> None:
        self.audio = audio
        self._incoming = pieces
        self._is_cut_anywhere = AudioEncoding(audio.encoding).is_raw
        self._max_bytes = _capacity_bytes(audio) if max_bytes is None else max_bytes
        self._kept: deque[bytes] = deque()
        self._start_byte = 0
        self._end_byte = 0
        self._sent_byte = 0
        self._is_ended = False
        self._failure: InputLost | None = None
        self._has_more = asyncio.Event()
        self._may_have_room = asyncio.Event()

    async def fill(self) -> None:
        try:
            async for piece in self._incoming:
                while not self._has_room():
                    self._may_have_room.clear()
                    await self._may_have_room.wait()
                self._kept.append(piece)
                self._end_byte += len(piece)
                self._has_more.set()
        except InputLost as lost:
            self._failure = lost
        self._is_ended = True
        self._has_more.set()

    def _has_room(self) -> bool:
        if not self._is_cut_anywhere:
            while self._kept and self._end_byte - self._start_byte > self._max_bytes and self._drop_sent():
                pass
        return not self._kept or self._end_byte - self._start_byte <= self._max_bytes

    def _drop_sent(self) -> bool:
        """The oldest piece goes, if it was sent."""
        after = self._start_byte + len(self._kept[0])
        if after > self._sent_byte:
            return False
        self._kept.popleft()
        self._start_byte = after
        return True

    async def pieces(self, cut: AudioCut) -> AsyncIterator[bytes]:
        at_byte = self._sent_byte = cut.from_byte
        while True:
            while self._end_byte <= at_byte and not self._is_ended:
                self._has_more.clear()
                await self._has_more.wait()
            piece = self._at(at_byte)
            if piece:
                yield piece
                at_byte += len(piece)
                self._sent_byte = max(self._sent_byte, at_byte)
                self._may_have_room.set()
            elif self._failure is not None:
                raise self._failure
            else:
                return

    def _at(self, from_byte: int) -> bytes:
        """The rest of the piece in which this byte lies; empty behind the last."""
        start = self._start_byte
        for piece in self._kept:
            if from_byte < start + len(piece):
                return piece[from_byte - start :]
            start += len(piece)
        return b""

    def release(self, committed_sample: int) -> None:
        if not self._is_cut_anywhere:
            return
        before = cut_for(self.audio, committed_sample).from_byte
        while self._kept and self._start_byte + len(self._kept[0]) <= before:
            self._start_byte += len(self._kept.popleft())
        self._may_have_room.set()

    def has(self, cut: AudioCut) -> bool:
        return cut.from_byte >= self._start_byte


def _capacity_bytes(audio: AudioSpec) -> int:
    encoding = AudioEncoding(audio.encoding)
    if not encoding.is_raw:
        return _KEPT_BYTES
    return max(_KEPT_BYTES, _KEPT_S * audio.sample_rate_hz * audio.channels * encoding.bytes_per_sample)
