"""The border between those who decide and the log of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from policies.residency.record import DecisionRecord


class DecisionLog(Protocol):
    """Nothing here raises, and nothing waits but `record_now`. A record is in the order in which it was given."""

    def record(self, record: DecisionRecord) -> None:
        """Write it down soon; its place in the chain is given here."""

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        """Whether it is on the disk; else it still may come there. Waits: not for an event loop."""

    @property
    def is_writable(self) -> bool:
        """False: records cannot be kept now. Restricted sessions are refused then, others as settings say."""


class NoDecisionLog:
    """Where none is configured: nothing is kept, and nobody is refused for it."""

    def record(self, record: DecisionRecord) -> None:
        """Let it go."""

    def record_now(self, record: DecisionRecord, within_s: float) -> bool:
        """It is on no disk."""
        return False

    @property
    def is_writable(self) -> bool:
        return True
