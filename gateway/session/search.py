"""A session's search for an engine: how long it has been without one, how often it asked, when it asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.failover import give_up, retry_delay_ms

if TYPE_CHECKING:
    from engines.interface import LossReason, Refused
    from policies.failover import GiveUp, RecoveryLimits

NEVER_MS = 1 << 62


class EngineSearch:
    """Begins when a session opens or loses its engine; ends with a grant."""

    __slots__ = (
        "_attempt",
        "_jitter_permille",
        "_limits",
        "ask_again_at_ms",
        "asked_at_ms",
        "loss",
        "losses",
        "refusal",
        "since_ms",
    )

    def __init__(self, limits: RecoveryLimits, *, jitter_permille: int, now_ms: int) -> None:
        self._limits = limits
        self._jitter_permille = jitter_permille
        self._attempt = 0
        self.losses = 0
        self.loss: LossReason | None = None
        self.refusal: Refused | None = None
        """The last one of this search."""
        self.since_ms = now_ms
        self.asked_at_ms = now_ms
        self.ask_again_at_ms = NEVER_MS

    def asked(self, now_ms: int) -> None:
        self._attempt += 1
        self.asked_at_ms = now_ms
        self.ask_again_at_ms = NEVER_MS

    def found(self) -> None:
        self._attempt = 0
        self.loss = None
        self.refusal = None

    def lost(self, reason: LossReason, now_ms: int) -> None:
        """A granted engine is gone: the search begins anew, at once."""
        self.losses += 1
        self.loss = reason
        self.since_ms = now_ms

    def proven(self) -> None:
        """A final came: whatever killed engines before, it was not this audio."""
        self.losses = 0

    def plan_next(self, now_ms: int) -> bool:
        """True: ask now. False: `ask_again_at_ms` says when."""
        delay_ms = retry_delay_ms(self._attempt, jitter_permille=self._jitter_permille, limits=self._limits)
        if delay_ms == 0:
            return True
        self.ask_again_at_ms = now_ms + delay_ms
        return False

    def waited_ms(self, now_ms: int) -> int:
        return now_ms - self.since_ms

    def give_up_at_ms(self) -> int:
        return self.since_ms + self._limits.timeout_ms

    def verdict(self, now_ms: int) -> GiveUp | None:
        return give_up(without_engine_ms=self.waited_ms(now_ms), losses=self.losses, limits=self._limits)
