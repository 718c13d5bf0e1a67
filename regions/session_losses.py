"""Where one session lost engines a moment ago, and which regions it therefore does without for a while. Pure.

A region whose engine broke off is tried again: it has other engines. One that took audio and said nothing, or that lost
two engines of this session in a row, is not.
"""

from __future__ import annotations

_LOSSES_BEFORE_AVOIDING = 2


class SessionLosses:
    """Remembers for `avoided_ms`; told the time."""

    __slots__ = ("_avoided_ms", "_lost")

    def __init__(self, *, avoided_ms: int) -> None:
        self._avoided_ms = avoided_ms
        self._lost: dict[str, list[int]] = {}

    def note(self, region: str, now_ms: int, *, is_suspect: bool) -> None:
        """An engine there was lost. `is_suspect`: the region itself, and not one of its engines, may be at fault."""
        at_ms = self._lost.setdefault(region, [])
        at_ms += [now_ms] * (_LOSSES_BEFORE_AVOIDING if is_suspect else 1)
        del at_ms[:-_LOSSES_BEFORE_AVOIDING]

    def proven(self, region: str) -> None:
        """An engine there made audio of this session final."""
        self._lost.pop(region, None)

    def avoided(self, now_ms: int) -> frozenset[str]:
        if not self._lost:
            return _NOWHERE
        return frozenset(
            region
            for region, at_ms in self._lost.items()
            if len(at_ms) == _LOSSES_BEFORE_AVOIDING and now_ms - at_ms[0] < self._avoided_ms
        )


_NOWHERE: frozenset[str] = frozenset()
