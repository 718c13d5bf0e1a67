"""What a gateway writes down by itself before Redis hears of it, so that no settled compute is lost with either."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    num_cuts: int = 0
    last_cut: int = 0
    """As Redis said last, see gateway.limits.calls.Reply."""
    unproven_below: int = 0
    """Of slices before this one it is not certain what they cost (a damaged file) or which events cover them; the
    journal makes none of them."""

    @property
    def following(self) -> int:
        """The number of the slice that comes next."""
        return self.recorded + len(self.slices)


class Journal(Protocol):
    """Calls that write do not wait; `committed` waits until all that was written before is on the disk.

    A write that fails (disk full, I/O error) is told by `committed`, counted, and does not stop a session.
    """

    def opened(self, labels: TabLabels, plan: CallerPlan) -> None:
        """A session of that id that is there already gets these labels, and is not over."""

    def used(self, session_id: str, piece: Slice) -> None: ...

    def over(self, session_id: str) -> None: ...

    def recorded(self, session_id: str, before: int, *, num_cuts: int = 0, last_cut: int = 0) -> None:
        """Redis said that events cover all slices below `before`. The journal works out the events by itself.

        `num_cuts`, `last_cut`: of the same answer, see gateway.limits.calls.Reply.
        """

    async def committed(self) -> None:
        """Raises JournalFailed; what was not written is tried again by itself."""

    def left_open(self) -> Sequence[JournaledTab]:
        """Tabs of earlier processes, found at start, that are not wholly recorded; they are over."""

    def tab(self, session_id: str) -> JournaledTab | None:
        """What is needed to restore a tab that Redis lost."""

    def recent_events(self, *, since_ms: int = 0) -> Iterator[UsageEvent]:
        """Events of the retention time with `at_ms` from `since_ms` on, to be recorded again after Redis lost data.

        In the order in which they were recorded. Read from the disk as they are asked for: there can be millions. What
        is recorded after the call does not follow.
        """
