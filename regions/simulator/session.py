"""One caller's session in the simulated world, and how it can lose its engine. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regions.session_losses import SessionLosses
    from regions.simulator.demand import Caller
    from regions.simulator.machines import Engine
    from regions.simulator.sight import Place


class Loss(StrEnum):
    """How an engine was lost."""

    reset = "reset"
    """Its connection broke."""
    dark = "dark"
    """Its link stands and nothing comes over it."""
    silent = "silent"
    """It reports and answers nothing."""


class Session:
    """One caller's."""

    __slots__ = (
        "attempt",
        "caller",
        "ends_at_ms",
        "engine",
        "found_it_full",
        "front",
        "has_lost",
        "is_over",
        "losses",
        "lost_at_ms",
        "permitted",
        "place",
        "placed_at_ms",
        "seeking",
        "tries",
        "unserved_ms",
        "was_served",
        "words_at_ms",
    )

    def __init__(self, caller: Caller, permitted: frozenset[str], ends_at_ms: int) -> None:
        self.caller = caller
        self.permitted = permitted
        self.ends_at_ms = ends_at_ms
        self.front = -1
        """Region of its gateway; -1: it has none."""
        self.place: Place | None = None
        self.engine: Engine | None = None
        self.placed_at_ms = 0
        self.lost_at_ms = caller.at_ms
        """Since when it has no engine."""
        self.words_at_ms = 0
        """When the last words came before that."""
        self.unserved_ms = 0
        self.tries = 0
        """Calls of its client, since it was served last."""
        self.attempt = 0
        self.seeking = 0
        """Numbers its searches: what an older one planned is void."""
        self.was_served = False
        self.has_lost = False
        """It looks for an engine after a loss, by its gateway's own doing."""
        self.found_it_full = False
        """The region that it calls at had no slot for it."""
        self.losses: SessionLosses | None = None
        self.is_over = False

    @property
    def name(self) -> str:
        return f"{self.caller.number:012d}"


@dataclass(frozen=True, slots=True)
class Turn:
    """A step that is planned for a session. Void if the session has begun another search since."""

    session: Session
    seeking: int
