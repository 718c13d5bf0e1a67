"""How a session ends that may still let its utterance become final. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.session.search import NEVER_MS

if TYPE_CHECKING:
    from gateway.errors import Reason

STILL_SENDING_MS = 1_000
"""A client whose last message is younger goes on sending."""
LAST_FINAL_MS = 5_000
"""How long an engine that may hear no more has for the final of what it heard."""


@dataclass(slots=True)
class Ending:
    """Why, and until when: at `cut_at_ms` the utterance under way is cut, at `close_at_ms` nothing is waited for, which
    is `grace_ms` after the cut, and not at once.
    """

    reason: Reason
    detail: str
    retry_after_ms: int | None
    cut_at_ms: int
    grace_ms: int
    close_at_ms: int = NEVER_MS
    level: str | None = None
    """Whose limit ends it, where one does."""
    gateways: tuple[str, ...] = ()
    """Where the client may go on instead."""
    is_by_policy: bool = False
    """Nothing more may go to an engine: not to this one, and not to another."""

    @property
    def next_ms(self) -> int:
        return min(self.cut_at_ms, self.close_at_ms)
