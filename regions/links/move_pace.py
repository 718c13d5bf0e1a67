"""How quickly the streams of a link are told to move, so that they do not all arrive at once elsewhere. PURE."""

from __future__ import annotations

_BY_HALF = 2
"""Of the time that a move may take, the last stream hears of it at half, whatever the pace says."""


class MovePace:
    """Pauses between the streams of one drain.

    Args:
        num_streams: that are there when it begins.
        within_ms: what a session that hears of it at once has for its move.
    """

    __slots__ = ("_burst_left", "_pause_s")

    def __init__(self, *, num_streams: int, moves_per_s: float, burst: int, within_ms: int) -> None:
        self._burst_left = burst
        longest_s = within_ms / 1_000 / _BY_HALF
        self._pause_s = min(1 / moves_per_s, longest_s / max(1, num_streams - burst))

    def pause_s(self, draw: float) -> float:
        """Before the next stream is told. `draw`: random, in [0, 1); spreads gateways that began together."""
        if self._burst_left > 0:
            self._burst_left -= 1
            return 0.0
        return self._pause_s * (0.5 + draw)
