"""The audio of one session that is not final yet, and how much of it the engine has been sent.

These must stay true: start_sample <= sent_sample <= end_sample; the buffer holds every sample in
[start_sample, end_sample) and no other. Audio lives nowhere else in a gateway.

The client's messages themselves are kept, and given to the engine's link as they are: nothing is copied while each
message is sent as it comes. A bytearray costs two copies a message, of memory that was not touched for a while.
"""

from __future__ import annotations

from engines.interface import BYTES_PER_SAMPLE

_LEAST_PIECE_BYTES = 1_024
"""Smaller ones are joined, so that what is held costs little more than its audio."""


class ReplayBuffer:
    """Consecutive 16-bit samples on the session's audio clock."""

    __slots__ = ("_pieces", "_sent_bytes", "_sent_pieces", "end_sample", "sent_sample", "start_sample")

    def __init__(self, start_sample: int = 0) -> None:
        self._pieces: list[bytes] = []
        self._sent_pieces = 0
        """So many of the pieces are sent as a whole, and `_sent_bytes` of the one after them."""
        self._sent_bytes = 0
        self.start_sample = start_sample
        self.sent_sample = start_sample
        self.end_sample = start_sample

    @property
    def held_samples(self) -> int:
        return self.end_sample - self.start_sample

    def append(self, pcm16: bytes) -> None:
        """Take whole samples that follow what is held."""
        if not pcm16:
            return
        self.end_sample += len(pcm16) // BYTES_PER_SAMPLE
        pieces = self._pieces
        if len(pcm16) >= _LEAST_PIECE_BYTES or not pieces or len(pieces[-1]) >= _LEAST_PIECE_BYTES:
            pieces.append(pcm16)
            return
        if self._sent_pieces == len(pieces):
            self._sent_pieces -= 1
            self._sent_bytes = len(pieces[-1])
        pieces[-1] += pcm16

    def take_unsent(self, before_sample: int) -> bytes:
        """The samples from `sent_sample` to `before_sample` or the end, whichever is first; they count as sent."""
        until = min(before_sample, self.end_sample)
        num_bytes = (until - self.sent_sample) * BYTES_PER_SAMPLE
        if num_bytes <= 0:
            return b""
        self.sent_sample = until
        piece = self._pieces[self._sent_pieces]
        if len(piece) == num_bytes and not self._sent_bytes:
            self._sent_pieces += 1
            return piece
        return self._take_parts(num_bytes)

    def _take_parts(self, num_bytes: int) -> bytes:
        parts = []
        while num_bytes:
            piece = self._pieces[self._sent_pieces]
            part = piece[self._sent_bytes : self._sent_bytes + num_bytes]
            parts.append(part)
            num_bytes -= len(part)
            self._sent_bytes += len(part)
            if self._sent_bytes == len(piece):
                self._sent_pieces += 1
                self._sent_bytes = 0
        return b"".join(parts)

    def release(self, before_sample: int) -> None:
        """Forget audio that is final. What was never sent cannot be final: ValueError."""
        if not self.start_sample <= before_sample <= self.sent_sample:
            raise ValueError(
                f"cannot release up to {before_sample}: held from {self.start_sample}, sent up to {self.sent_sample}"
            )
        num_bytes = (before_sample - self.start_sample) * BYTES_PER_SAMPLE
        self.start_sample = before_sample
        pieces, whole = self._pieces, 0
        while num_bytes and num_bytes >= len(pieces[whole]):
            num_bytes -= len(pieces[whole])
            whole += 1
        del pieces[:whole]
        self._sent_pieces -= whole
        if num_bytes:
            pieces[0] = pieces[0][num_bytes:]
            if not self._sent_pieces:
                self._sent_bytes -= num_bytes

    def fork(self) -> ReplayBuffer:
        """The same audio for a second engine, none of it sent yet. The pieces are shared, not copied."""
        fork = ReplayBuffer(self.start_sample)
        fork._pieces = self._pieces.copy()
        fork.end_sample = self.end_sample
        return fork

    def adopt(self, other: ReplayBuffer) -> None:
        """Go on as the other, which must not be used any more."""
        self._pieces = other._pieces
        self._sent_pieces = other._sent_pieces
        self._sent_bytes = other._sent_bytes
        self.start_sample = other.start_sample
        self.sent_sample = other.sent_sample
        self.end_sample = other.end_sample

    def rewind(self) -> None:
        """Everything held must be sent again, to another engine."""
        self.sent_sample = self.start_sample
        self._sent_pieces = self._sent_bytes = 0
