"""Pings and their pongs on one connection: when one is due, and the round trip that a pong shows. PURE.

All times are the caller's, monotonic, in seconds; wall clocks are only compared, never reckoned with.
"""

from __future__ import annotations

from collections import deque

import msgspec

MAX_UNANSWERED = 64
"""Pings that are remembered; a pong of an older one shows nothing any more."""
_EARLY = 0.75
"""Of the interval."""


class RttSample(msgspec.Struct, frozen=True):
    """One round trip. `clock_offset_ms`: the other side's wall clock less ours, as if both ways took equally long."""

    rtt_us: int
    clock_offset_ms: int


class Heartbeat:
    """What was pinged and not answered yet."""

    __slots__ = ("_due_at_s", "_forgiven_s", "_has_answered", "_interval_s", "_last_sequence", "_unanswered")

    def __init__(self, *, interval_ms: int, now_s: float) -> None:
        self._interval_s = interval_ms / 1_000
        self._due_at_s = now_s + self._interval_s
        self._last_sequence = 0
        self._unanswered: deque[tuple[int, float]] = deque(maxlen=MAX_UNANSWERED)
        self._has_answered = False
        self._forgiven_s = now_s

    @property
    def due_at_s(self) -> float:
        """When a ping must go, if none went along with something else."""
        return self._due_at_s

    @property
    def rides_from_s(self) -> float:
        """From when on a message that goes anyway should take the ping along."""
        return self._due_at_s - (1 - _EARLY) * self._interval_s

    def ping(self, now_s: float) -> int:
        """The sequence number of a ping that goes now."""
        self._last_sequence += 1
        self._unanswered.append((self._last_sequence, now_s))
        self._due_at_s = now_s + self._interval_s
        return self._last_sequence

    def pong(self, sequence: int, *, unix_ms: int, now_s: float, now_unix_ms: int) -> RttSample | None:
        """Take an answer; None for one that answers nothing that is remembered.

        A connection keeps its order: whatever was pinged before an answered ping is not waited for.
        """
        unanswered = self._unanswered
        while unanswered and unanswered[0][0] < sequence:
            unanswered.popleft()
        if not unanswered or unanswered[0][0] != sequence:
            return None
        _, pinged_at_s = unanswered.popleft()
        self._has_answered = True
        rtt_s = max(0.0, now_s - pinged_at_s)
        return RttSample(round(rtt_s * 1_000_000), round(unix_ms + rtt_s * 500 - now_unix_ms))

    def unanswered_since_s(self) -> float | None:
        """When the oldest ping without an answer went. None: there is none, or the other side never answered one: it
        may be of a version that cannot.
        """
        if not self._has_answered or not self._unanswered:
            return None
        return max(self._unanswered[0][1], self._forgiven_s)

    def forgive_until(self, since_s: float) -> None:
        """This process did not listen: answers to older pings may be there, still to be read."""
        self._forgiven_s = since_s
