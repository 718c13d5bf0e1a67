"""How a session ends that may still let its utterance become final. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Reason
from gateway.session.search import NEVER_MS

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

    @classmethod
    def by_policy(
        cls, reason: Reason, detail: str, retry_after_ms: int | None, gateways: tuple[str, ...], *, now_ms: int
    ) -> Ending:
        """It is cut already, at what its engine was sent: the final of that is all that is waited for."""
        return cls(
            reason,
            detail,
            retry_after_ms,
            cut_at_ms=NEVER_MS,
            grace_ms=LAST_FINAL_MS,
            close_at_ms=now_ms + LAST_FINAL_MS,
            gateways=gateways,
            is_by_policy=True,
        )

    @property
    def next_ms(self) -> int:
        return min(self.cut_at_ms, self.close_at_ms)

    @property
    def is_cut(self) -> bool:
        """Whether all that will be recognised is known."""
        return self.close_at_ms != NEVER_MS

    @property
    def may_wait_for_an_end(self) -> bool:
        """Whether an utterance may come to an end of its own, as the client goes on elsewhere: a drain has the time."""
        return self.reason is Reason.draining

    @property
    def needs_no_cut(self) -> bool:
        """Whether a client that can go on has the audio of all that is not final, and no word is cut for it."""
        return self.reason is Reason.capacity_shed

    def wait_on(self, now_ms: int) -> None:
        """The client still sends: an end of the engine's own may come."""
        self.cut_at_ms = now_ms + STILL_SENDING_MS

    def cut_soon(self, now_ms: int) -> None:
        """No final will come by itself."""
        self.cut_at_ms = min(self.cut_at_ms, now_ms)

    def cut(self, now_ms: int) -> None:
        """What was received, and may be sent, is all that will be recognised; its final is waited for."""
        self.cut_at_ms = NEVER_MS
        self.close_at_ms = now_ms + max(self.grace_ms, STILL_SENDING_MS)
