"""How much compute a session holds before its audio goes to an engine: a pure rule over what its audio cost so far.

These must stay true:
  - `us_per_audio_s` is never above the stated worst case, and in the mode `worst_case` never below it: then audio that
    is let go only as far as `audio_ms_covered_by` says costs no more than was held, as long as no audio costs more than
    the stated worst case. That statement is the operator's, and includes what the end of an utterance costs.
  - Rounding is against the session: holds are rounded up, the audio that they cover is rounded down.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

_MS_PER_S = 1_000
_MARGIN = 2
"""Adaptive holds are this many times the dearest of the last slices."""


class ReservationMode(StrEnum):
    worst_case = "worst_case"
    """Always the stated worst case: nothing is ever spent that was not held."""
    adaptive = "adaptive"
    """Twice the dearest of the last slices: holds less, and a sudden rise is paid for afterwards, as a debt."""


@dataclass(frozen=True, slots=True)
class ReservationRules:
    """All in micro-compute-seconds for a second of audio. `remembered_slices`: how many the adaptive mode looks at."""

    mode: ReservationMode
    worst_case_us_per_audio_s: int
    floor_us_per_audio_s: int = 1
    remembered_slices: int = 10
    min_observed_audio_ms: int = 200
    """Slices with less audio count together with those after them: a ratio over a few samples says nothing."""

    def __post_init__(self) -> None:
        if not 0 < self.floor_us_per_audio_s <= self.worst_case_us_per_audio_s:
            raise ValueError("reservations must rise: 0 < floor <= worst case")
        if self.remembered_slices < 1 or self.min_observed_audio_ms < 1:
            raise ValueError("at least one slice must be remembered, and one with audio")


class Reservation:
    """Of one session. Begins at the worst case, and stays there until as many slices were seen as are remembered."""

    def __init__(self, rules: ReservationRules) -> None:
        self._rules = rules
        self._costs_us_per_audio_s: deque[int] = deque(maxlen=rules.remembered_slices)
        self._compute_us = 0
        self._audio_ms = 0
        self._us_per_audio_s = rules.worst_case_us_per_audio_s

    @property
    def us_per_audio_s(self) -> int:
        """What is held for a second of audio."""
        return self._us_per_audio_s

    def observe(self, compute_us: int, audio_ms: int) -> None:
        """What one slice cost; a slice that cost compute and consumed no audio is added to the next."""
        if self._rules.mode is ReservationMode.worst_case:
            return
        self._compute_us += compute_us
        self._audio_ms += audio_ms
        if self._audio_ms < self._rules.min_observed_audio_ms:
            return
        self._costs_us_per_audio_s.append(-(-self._compute_us * _MS_PER_S // self._audio_ms))
        self._compute_us = self._audio_ms = 0
        if len(self._costs_us_per_audio_s) == self._rules.remembered_slices:
            dearest = max(self._costs_us_per_audio_s)
            self._us_per_audio_s = min(
                max(_MARGIN * dearest, self._rules.floor_us_per_audio_s), self._rules.worst_case_us_per_audio_s
            )

    def hold_us_for(self, audio_ms: int) -> int:
        """What must be held before so much audio goes to an engine."""
        return -(-audio_ms * self._us_per_audio_s // _MS_PER_S)

    def audio_ms_covered_by(self, held_us: int) -> int:
        """How much audio may go to an engine while so much is held; none while it is a debt."""
        return max(0, held_us) * _MS_PER_S // self._us_per_audio_s

    def wanted_us(self, *, backlog_ms: int, ahead_ms: int) -> int:
        """The hold that lets what waits go, and what comes in the next `ahead_ms` too."""
        return self.hold_us_for(backlog_ms + ahead_ms)
