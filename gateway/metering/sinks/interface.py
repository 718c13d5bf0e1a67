"""What the exporter and a receiver agree on: batches go out, and for each event comes back what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.entries import UsageEvent


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event under its id.

    `was_tried`: it was sent before, and nobody knows with what end. `times_reported`: so often the receiver said yes
    and then reported it as bad; it knows the id, and would take the event for a repetition.
    """

    event: UsageEvent
    event_id: str
    was_tried: bool = False
    times_reported: int = 0

    @property
    def identifier(self) -> str:
        """What the receiver is to know it by; begins with the id."""
        return f"{self.event_id}-r{self.times_reported}" if self.times_reported else self.event_id


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not now. `reason` is a metric's label.

    `after_ms`: the receiver asked for it. `is_of_sink`: others would fare no better. `may_have_arrived`: the receiver
    may have it all the same.
    """

    reason: str
    after_ms: int | None = None
    is_of_sink: bool = True
    may_have_arrived: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Never. `is_of_batch`: one of the batch is at fault, and nobody said which."""

    reason: str
    detail: str = ""
    is_of_batch: bool = False


Outcome = Accepted | TryAgain | Refused


class Sink(Protocol):
    """One receiver. `deliver` is bounded in time by the sink's own settings, and raises nothing."""

    async def is_ready(self) -> bool:
        """Whether events may be read for it at all; asked again and again."""

    async def deliver(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Send them; the outcomes are in the order of the batch."""

    async def aclose(self) -> None: ...
