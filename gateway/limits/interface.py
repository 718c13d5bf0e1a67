"""The border between a session and the limiter: what each needs of the other, in running totals.

Everything is a total since the session's start, so that a message that is lost, late or repeated does no harm. These
must stay true:
  - A session spends at most `granted_us`, where it is not None.
  - `granted_us` is raised only by compute that was debited from every level before.
  - Nothing on the audio path waits for the limiter: credit runs ahead, `update` only brings news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.session.credit import QuotaUpdate, UsedSoFar
    from policies.plans import CallerPlan


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

    async def close_left(self, org: str, tab_id: str) -> None:
        """Close the tab of a session that goes on under another name, whichever gateway had it: its place comes back,
        and what it used is billed. Bounded as `acquire`; where it cannot be done, the tab's lease ends by itself.
        """
