"""How many answers a second strangers get at most."""

from __future__ import annotations


class AnswerRate:
    """A bucket of one second's answers, filled at `per_second`."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may go out at `now`, in seconds of any clock that only goes forward."""
        if not self.has_left(now):
            return False
        self._left -= 1
        return True

    def has_left(self, now: float) -> bool:
        if now > self._at:
            self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
            self._at = now
        return self._left >= 1
