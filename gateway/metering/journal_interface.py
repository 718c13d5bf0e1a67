"""What a gateway writes down by itself before Redis hears of it, so that no settled compute is lost with either."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metering.entries import Slice, TabLabels, UsageEvent
    from policies.plans import CallerPlan


@dataclass(slots=True)
class JournaledTab:
    """A session as the journal knows it: what no event covers yet, and the totals before."""

    labels: TabLabels
    plan: CallerPlan
    recorded: int = 0
    compute_before_us: int = 0
    audio_before_ms: int = 0
    connection_before_ms: int = 0
    slices: list[Slice] = field(default_factory=list)
    is_over: bool = False


class Journal(Protocol):
    """Calls that write do not wait; `committed` waits until all that was written before is on the disk.

    A write that fails (disk full, I/O error) is told by `committed`, counted, and does not stop a session.
    """

    def opened(self, labels: TabLabels, plan: CallerPlan) -> None: ...

    def used(self, session_id: str, piece: Slice) -> None: ...

    def over(self, session_id: str) -> None: ...

    def recorded(self, session_id: str, before: int) -> None:
        """Redis said that events cover all slices below `before`. The journal works out the event by itself."""

    async def committed(self) -> None: ...

    def left_open(self) -> Sequence[JournaledTab]:
        """Tabs of earlier processes, found at start, that are not wholly recorded; they are over."""

    def tab(self, session_id: str) -> JournaledTab | None:
        """What is needed to restore a tab that Redis lost."""

    def recent_events(self) -> Sequence[UsageEvent]:
        """Events of the retention time, oldest first, to be recorded again after Redis lost data."""
