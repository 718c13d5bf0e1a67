"""How often an alarm is written down: at once, and then once a second for all that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_EVERY_S = 1.0
_MOST_KINDS = 1_000


class Alarms:
    """`now_s`: monotonic seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._told_at_s: dict[Hashable, float] = {}
        self._untold: dict[Hashable, int] = {}

    def raised(self, kind: Hashable) -> int:
        """How many times this kind is to be told of now, those before it that were not told included; 0: not now."""
        now_s = self._now_s()
        told_at_s = self._told_at_s.get(kind)
        if told_at_s is not None and now_s - told_at_s < _EVERY_S:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return 0
        if len(self._told_at_s) >= _MOST_KINDS:
            self._told_at_s.clear()
        self._told_at_s[kind] = now_s
        return 1 + self._untold.pop(kind, 0)
