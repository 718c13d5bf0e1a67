"""Bytes on their way into a stream reader, which is a generator that waits for more of them by yielding STARVING.

Nothing here knows a format. What is skipped is dropped as it comes, so a picture of any size costs no memory.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.audio.faults import undecodable

if TYPE_CHECKING:
    import re
    from collections.abc import Generator

    from gateway.audio.settings import AudioSettings
    from gateway.audio.stream_events import StreamEvent

T = TypeVar("T")


class Starving(Enum):
    """A reader can do nothing until bytes are appended or the input ends."""

    starving = "starving"


STARVING: Final = Starving.starving

if TYPE_CHECKING:
    Reading = Generator[StreamEvent, bool, T]


class InputEnded(Exception):
    """The bytes that a reader waits for will never come. A stream may end anywhere, so this is not an error."""


class ByteQueue:
    """What was fed and not read. `reader_name` is the encoding, for the sentences of refusals."""

    def __init__(self, reader_name: str, settings: AudioSettings) -> None:
        self._name = reader_name
        self._settings = settings
        self._bytes = bytearray()
        self._is_ended = False
        self._skipped_bytes = 0
        self._dropped_bytes = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def append(self, data: bytes | memoryview) -> None:
        self._bytes += data

    def end(self) -> None:
        """No more bytes come."""
        self._is_ended = True

    @property
    def is_ended(self) -> bool:
        return self._is_ended

    def at_least(self, num_bytes: int) -> Reading[None]:
        """Wait until so many bytes are there. Raises InputEnded."""
        while len(self._bytes) < num_bytes:
            if self._is_ended:
                raise InputEnded
            yield STARVING

    def exactly(self, num_bytes: int) -> Reading[bytes]:
        """Wait for and take the next bytes. Raises InputEnded."""
        if len(self._bytes) < num_bytes:
            yield from self.at_least(num_bytes)
        return self.take(num_bytes)

    def take(self, num_bytes: int) -> bytes:
        """Bytes that are there."""
        taken = bytes(self._bytes[:num_bytes])
        del self._bytes[:num_bytes]
        return taken

    def peek(self, num_bytes: int, *, at: int = 0) -> bytes:
        """As many of the bytes that are there, without taking them."""
        return bytes(self._bytes[at : at + num_bytes])

    def find(self, pattern: bytes, start: int) -> int:
        """Where a pattern begins, counted from the next byte to be taken; -1 if it is not there."""
        return self._bytes.find(pattern, start)

    def search(self, pattern: re.Pattern[bytes], start: int) -> int:
        """As `find`, for a pattern."""
        match = pattern.search(self._bytes, start)
        return -1 if match is None else match.start()

    def skip(self, num_bytes: int) -> Reading[None]:
        """Pass over what the format says is not audio.

        Raises:
            InputEnded.
            ClientFault: more than `max_metadata_bytes` since the last audio.
        """
        self._skipped_bytes += num_bytes
        if self._skipped_bytes > self._settings.max_metadata_bytes:
            raise undecodable(
                f"a stream of {self._name} may hold at most {self._settings.max_metadata_bytes} bytes of anything else"
                " between two pieces of audio"
            )
        while num_bytes > len(self._bytes):
            num_bytes -= len(self._bytes)
            self._bytes.clear()
            yield from self.at_least(1)
        del self._bytes[:num_bytes]

    def drop(self, num_bytes: int) -> None:
        """Pass over bytes that are there and nothing the format knows.

        Raises:
            ClientFault: more than `max_garbage_bytes` since the last audio.
        """
        self._dropped_bytes += num_bytes
        if self._dropped_bytes > self._settings.max_garbage_bytes:
            raise undecodable(f"{self._dropped_bytes} bytes in a row are not {self._name}")
        del self._bytes[:num_bytes]

    @property
    def dropped_bytes(self) -> int:
        """Since the last audio."""
        return self._dropped_bytes

    def audio_found(self) -> None:
        """Count what is skipped and dropped afresh."""
        self._skipped_bytes = 0
        self._dropped_bytes = 0
