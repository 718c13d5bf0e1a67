"""How long a datagram that is missing is waited for once a later one is there: as RACK does (RFC 8985 §6.2). Pure.

Datagrams are not sent again, so nothing is gained by waiting but for those that come out of their order. How far out
of it they come is learned from those that do:
  - A quarter of the shortest round trip, at first. A network that reorders by more has shown so by one that came after
    it was given up; then the window is as wide as that one needed, and at least a quarter more than before.
  - After 16 losses in a row without need for the width, it is a quarter narrower. Losses and not round trips are what
    is counted, as in RACK: only at a loss does the width cost anything, and an attempt with less costs at most one
    datagram in so many that are lost anyway.
  - Until anything came out of its order, three later ones say as much as the time does (RFC 9002 §6.1.1). In a network
    that reorders they do not: one that is late is overtaken by a whole burst.
"""

from __future__ import annotations

FEWEST_MS = 2
"""Where the round trip is short: a timer may ring a millisecond early or late, and so may a packet be read."""
PACKET_THRESHOLD = 3
"""RFC 9002 §6.1.1, kPacketThreshold."""
CLEAN_LOSSES = 16
"""RFC 8985 §6.2 step 4, RACK.reo_wnd_persist."""
_STEPS_A_ROUND_TRIP = 4
_US_PER_MS = 1_000


class ReorderWindow:
    """One connection's. `most_ms` bounds it; as long as no round trip is known it is as wide as that."""

    def __init__(self, most_ms: int) -> None:
        self._most_ms = most_ms
        self._step_ms = most_ms
        self._steps = 1
        self._has_reordering = False
        self._clean_losses = 0

    @property
    def width_ms(self) -> int:
        return min(self._most_ms, self._steps * self._step_ms)

    @property
    def packet_threshold(self) -> int | None:
        """What was sent so many before one that is there is lost; None: only time tells."""
        return None if self._has_reordering else PACKET_THRESHOLD

    def round_trip(self, min_rtt_us: int | None) -> None:
        """The shortest that the connection has seen; None: none yet."""
        if min_rtt_us is None:
            self._step_ms = self._most_ms
        else:
            self._step_ms = max(FEWEST_MS, -(-min_rtt_us // (_STEPS_A_ROUND_TRIP * _US_PER_MS)))

    def filled(self, waited_ms: int) -> None:
        """What was missing came, after a later one had waited so long for it."""
        self._has_reordering = True
        if waited_ms >= (self._steps - 1) * self._step_ms:
            self._clean_losses = 0

    def given_up(self) -> None:
        """What was missing did not come in time."""
        self._clean_losses += 1
        if self._clean_losses < CLEAN_LOSSES:
            return
        self._clean_losses = 0
        if self._steps == 1:
            self._has_reordering = False
        else:
            self._steps -= 1

    def came_after_all(self, waited_ms: int) -> None:
        """What was given up came; the first later one would have had to wait so long for it. Where that is more than
        `most_ms`, no width would have done.
        """
        self._has_reordering = True
        self._clean_losses = 0
        if self.width_ms >= self._most_ms:
            return
        needed = waited_ms // self._step_ms + 1 if waited_ms < self._most_ms else 0
        self._steps = max(self._steps + 1, needed)
