"""How often a placement may be tried again, so that retries never become the load. Pure: told the time.

Source: Google's "Site Reliability Engineering", chapter 21: at most three attempts for a request, and retries below a
tenth of a client's requests. Placements count when they begin, not when they end: counting late would hide those under
way.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

_PERMILLE = 1_000
_PARTS = 10


class RetryRefusal(StrEnum):
    """Why a placement is not tried again now."""

    too_many_attempts = "too_many_attempts"
    """This placement had its tries."""
    budget_spent = "budget_spent"
    """The gateway had its retries for now."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """`max_attempts`: of one placement, the first one with it. `share_permille`: retries in a window, of the placements
    in it. `floor`: retries that a window always has, so that an idle gateway can try again at all.
    """

    max_attempts: int = 3
    share_permille: int = 100
    window_ms: int = 10_000
    floor: int = 10

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.window_ms < _PARTS or min(self.share_permille, self.floor) < 0:
            raise ValueError("a retry budget needs at least one attempt, a window of 10 ms, and no negative share")


class RetryBudget:
    """Of one gateway. Times must not fall from call to call.

    A placement is a session's wish for a stream: a new session's, or one's that goes on after a loss. A retry is the
    next attempt of the same wish, after a refusal.
    """

    def __init__(self, limits: RetryLimits) -> None:
        self._limits = limits
        self._part_ms = limits.window_ms // _PARTS
        self._parts: deque[list[int]] = deque()
        """[number of the part, placements in it, retries in it], oldest first; at most `_PARTS` of them."""
        self._placements = 0
        self._retries = 0

    def placed(self, now_ms: int) -> None:
        """A placement begins: its first attempt."""
        self._part(now_ms)[1] += 1
        self._placements += 1

    def ask(self, now_ms: int, *, attempt: int) -> RetryRefusal | None:
        """Whether a placement may be tried again; None says yes, and counts it.

        Args:
            attempt: the one that is asked for; 1 is the first after the first refusal.
        """
        if attempt >= self._limits.max_attempts:
            return RetryRefusal.too_many_attempts
        part = self._part(now_ms)
        if self.left <= 0:
            return RetryRefusal.budget_spent
        part[2] += 1
        self._retries += 1
        return None

    @property
    def left(self) -> int:
        """Retries that the window still has, as of the last call."""
        share = self._placements * self._limits.share_permille // _PERMILLE
        return max(self._limits.floor, share) - self._retries

    def _part(self, now_ms: int) -> list[int]:
        number = now_ms // self._part_ms
        while self._parts and self._parts[0][0] <= number - _PARTS:
            _, placements, retries = self._parts.popleft()
            self._placements -= placements
            self._retries -= retries
        if not self._parts or self._parts[-1][0] < number:
            self._parts.append([number, 0, 0])
        return self._parts[-1]
