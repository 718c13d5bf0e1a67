"""Losses of audio that a client told before its session has begun: kept until it may hear of them. Pure."""

from __future__ import annotations

from gateway.wire.messages import AudioLost

_MOST = 192
"""Told with `started`, which comes within seconds: fewer than messages that may wait for a client. A client that goes
on with a session sends a minute of audio by then, of which a network may lose a part here and there.
"""


class UntoldLosses:
    """In order, as they come; those that touch are one."""

    __slots__ = ("_losses",)

    def __init__(self) -> None:
        self._losses: list[AudioLost] = []

    def keep(self, lost: AudioLost) -> bool:
        """False: there are too many, and it is not kept."""
        losses = self._losses
        if losses and lost.start_ms <= losses[-1].end_ms:
            losses[-1] = AudioLost(losses[-1].start_ms, lost.end_ms)
            return True
        if len(losses) == _MOST:
            return False
        losses.append(lost)
        return True

    def tell(self) -> list[AudioLost]:
        """All of them, once."""
        told, self._losses = self._losses, []
        return told
