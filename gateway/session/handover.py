"""A planned move under way: why, until when, and the standby that is to take over, or when to look for one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.session.search import NEVER_MS, EngineSearch

if TYPE_CHECKING:
    from engines.interface import MoveReason, Refused
    from gateway.session.limits import SessionLimits
    from gateway.session.standby import Standby


class Handover:
    """One standby after another, until one takes over or the time is out. The session's engine works on meanwhile."""

    __slots__ = ("_losses", "_max_losses", "_search", "reason", "since_ms", "standby", "until_ms")

    def __init__(
        self, reason: MoveReason, limits: SessionLimits, *, until_ms: int, now_ms: int, jitter_permille: int
    ) -> None:
        self.reason = reason
        self.since_ms = now_ms
        self.until_ms = until_ms
        self.standby: Standby | None = None
        self._losses = 0
        self._max_losses = limits.recovery.max_losses
        self._search = EngineSearch(limits, jitter_permille=jitter_permille, now_ms=now_ms)

    def asked(self, standby: Standby, now_ms: int) -> None:
        self.standby = standby
        self._search.asked(now_ms)

    def refused(self, event: Refused, now_ms: int) -> None:
        """No engine, for now: another try after a pause."""
        self._search.refused(event)
        self.missed(now_ms)

    def lost(self, now_ms: int) -> None:
        """The standby is gone. Audio that kills one after the other is not tried on more engines."""
        self._losses += 1
        self.missed(now_ms)
        if self._losses > self._max_losses:
            self._search.ask_again_at_ms = NEVER_MS

    def missed(self, now_ms: int) -> None:
        """There is no standby, for a reason that may pass."""
        self.standby = None
        if self._search.plan_next(now_ms):
            self._search.ask_again_at_ms = now_ms

    @property
    def ask_at_ms(self) -> int:
        """When to look for a standby; never, while there is one."""
        return NEVER_MS if self.standby is not None else self._search.ask_again_at_ms

    @property
    def next_ms(self) -> int:
        """When something is to be done."""
        silent_at_ms = None if self.standby is None else self.standby.silent_at_ms
        return min(self.until_ms, self.ask_at_ms, NEVER_MS if silent_at_ms is None else silent_at_ms)

    def is_ready(self, committed_sample: int) -> bool:
        """Whether a standby could take over now."""
        return self.standby is not None and self.standby.is_ready(committed_sample)
