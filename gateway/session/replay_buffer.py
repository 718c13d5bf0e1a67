"""The audio of one session that is not final yet, and how much of it the engine has been sent.

These must stay true: start_sample <= sent_sample <= end_sample; the buffer holds every sample in
[start_sample, end_sample) and no other. Audio lives nowhere else in a gateway.
"""

from __future__ import annotations

from engines.interface import BYTES_PER_SAMPLE


class ReplayBuffer:
    """Consecutive 16-bit samples on the session's audio clock."""

    __slots__ = ("_bytes", "end_sample", "sent_sample", "start_sample")

    def __init__(self, start_sample: int = 0) -> None:
        self._bytes = bytearray()
        self.start_sample = start_sample
        self.sent_sample = start_sample
        self.end_sample = start_sample

    @property
    def held_samples(self) -> int:
        return self.end_sample - self.start_sample

    def append(self, pcm16: bytes) -> None:
        """Take whole samples that follow what is held."""
        self._bytes += pcm16
        self.end_sample += len(pcm16) // BYTES_PER_SAMPLE

    def take_unsent(self, before_sample: int) -> bytes:
        """The samples from `sent_sample` to `before_sample` or the end, whichever is first; they count as sent."""
        until = min(before_sample, self.end_sample)
        if until <= self.sent_sample:
            return b""
        first = (self.sent_sample - self.start_sample) * BYTES_PER_SAMPLE
        last = (until - self.start_sample) * BYTES_PER_SAMPLE
        self.sent_sample = until
        with memoryview(self._bytes) as view:
            return bytes(view[first:last])

    def release(self, before_sample: int) -> None:
        """Forget audio that is final. What was never sent cannot be final: ValueError."""
        if not self.start_sample <= before_sample <= self.sent_sample:
            raise ValueError(
                f"cannot release up to {before_sample}: held from {self.start_sample}, sent up to {self.sent_sample}"
            )
        del self._bytes[: (before_sample - self.start_sample) * BYTES_PER_SAMPLE]
        self.start_sample = before_sample

    def rewind(self) -> None:
        """Everything held must be sent again, to another engine."""
        self.sent_sample = self.start_sample
