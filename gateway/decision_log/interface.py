"""The border between those who decide and the log of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from policies.residency.record import DecisionRecord


class DecisionLog(Protocol):
    """Nothing here waits or raises. A record is in the order in which it was given."""

    def record(self, record: DecisionRecord) -> None:
        """Write it down soon; its place in the chain is given here."""

    @property
    def is_writable(self) -> bool:
        """False: records cannot be kept now. Restricted sessions are refused then, others as settings say."""


class NoDecisionLog:
    """Where none is configured: nothing is kept, and nobody is refused for it."""

    def record(self, record: DecisionRecord) -> None:
        """Let it go."""

    @property
    def is_writable(self) -> bool:
        return True
