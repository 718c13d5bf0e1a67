"""The border between a session and the limiter: what each needs of the other, in running totals.

Everything is a total since the session's start, so that a message that is lost, late or repeated does no harm. These
must stay true:
  - A session spends at most `granted_us`, where it is not None.
  - `granted_us` is raised only by compute that was debited from every level before.
  - Nothing on the audio path waits for the limiter: credit runs ahead, `update` only brings news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from policies.plans import CallerPlan, Level


class UsedSoFar(msgspec.Struct, frozen=True):
    """What a session has used since its start, and the compute it would like to be allowed in all.

    `compute_us`: spent by engines for it, without what was spent on replaying after a loss, which is ours.
    `audio_ms`: audio that engines consumed, each piece once.
    `wanted_us`: total compute that lets it run ahead; `least_us`: total without which its next audio must wait.
    """

    compute_us: int
    audio_ms: int
    wanted_us: int
    least_us: int


class QuotaUpdate(msgspec.Struct, frozen=True):
    """News from the limiter.

    `granted_us`: the session may spend this in all; None: no limit holds at present (no limiter, or it is away).
    `remaining_us`: what the tightest level has left; None: unknown or unlimited. `level`: which that is, or which
    refused. `retry_after_ms`: set if less than `least_us` could be granted; when to expect more.
    """

    granted_us: int | None
    remaining_us: int | None = None
    level: Level | None = None
    retry_after_ms: int | None = None


class LimitedSession(Protocol):
    """What the limiter sees of a running session. Neither call waits."""

    def used_so_far(self) -> UsedSoFar: ...

    def quota_update(self, update: QuotaUpdate) -> None: ...


class SessionTab(Protocol):
    """A place among the sessions, with what it may spend. Comes back at the first `release` and never twice."""

    @property
    def opening(self) -> QuotaUpdate:
        """What was granted with the place."""

    def attach(self, session: LimitedSession, *, add_ons: tuple[str, ...]) -> None:
        """From here on its usage is settled and its credit renewed. At most once. `add_ons`: billed too."""

    def release(self) -> None:
        """Settle what it used last, give back what it did not use, and its place. Does not wait."""


class SessionLimits(Protocol):
    """Who may open one more session."""

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> SessionTab:
        """Take a place at every level, and compute to begin with. The one wait for the limiter, bounded by a setting.

        Raises:
            QuotaRefused: `concurrency_limit`, `start_rate_limit` or `quota_exhausted`, with level and retry hint.
            Unavailable: `too_many_sessions` (this gateway), or `limiter_unavailable` where the plan says `closed`.
        """
