"""How a session outlives its gateway: the commit point that is kept for it, and who keeps it. Pure.

No audio and no text are in it. These must stay true:
  - A client that resumes from its own last `ack` gets every final once: a recogniser begins anew at a final's end.
  - Of two gateways that hold one session, the one that claimed it later has it; the other learns so at its next commit,
    and ends its part.
  - Nothing here makes a session wait: what cannot be stored is counted, and the session goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from policies.residency.decision import Situation

if TYPE_CHECKING:
    from collections.abc import Callable


class CommitPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands after a final. Positions are samples on the session's audio clock.

    Attributes:
        generation: counts the gateways that have had the session, from 1; the highest one has it.
        committed_sample: the end of the furthest final.
        charged_through_sample: recognition of audio before this was charged; heard again, it is not.
        epoch: the highest one used; the next gateway begins above it.
        model, model_version: what the held audio must be recognised by; empty before the first grant.
        tab_id: under which name the limiter knows the session at the gateway that has it.
        situation: what whoever is to keep a copy asks rules of its own; it is not written down. None: not known.
    """

    session_id: str
    org: str
    generation: int
    committed_sample: int
    charged_through_sample: int
    epoch: int
    model: str
    model_version: str
    tab_id: str
    situation: Situation | None = None


class StoreAway(Exception):
    """Where points are kept cannot be asked at present; the text says why, as gateway.redis_link.errors.AwayReason."""


class CommitLog(Protocol):
    """Where one session's commit points go."""

    def commit(self, point: CommitPoint) -> None:
        """Keep it soon; a newer one may replace it before."""

    def permit(self, permitted: frozenset[str], situation: Situation) -> None:
        """Only these regions may keep its points from here on; others that have copies are told to drop them."""

    def close(self, *, is_finished: bool) -> None:
        """The session is over. `is_finished`: nothing is left to resume."""


class CommitPoints(Protocol):
    """All sessions' commit points, of this region, and copies of other regions' where policy permits."""

    def open(self, point: CommitPoint, permitted: frozenset[str], on_superseded: Callable[[], None]) -> CommitLog:
        """A session begins here. `on_superseded`: another gateway claimed it."""

    async def claim(self, session_id: str, org: str, home: str) -> CommitPoint | None:
        """Make the session this gateway's: its generation is one more from here on. None: nothing is known of it.

        `home`: the region that the resume token names. Bounded in time; raises nothing.
        """
