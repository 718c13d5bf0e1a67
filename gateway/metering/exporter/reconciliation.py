"""Whether what was settled, recorded and delivered is the same, for each org, hour and sink, to the microsecond. Pure.

settled = recorded + open                  open: settled, and no event covers it yet
recorded = delivered + in flight + dead    in flight: in a stream or at a sink, no answer yet
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The worst that is true of an hour, worst last."""

    equal = "equal"
    in_flight = "in_flight"
    """All that is missing is on its way."""
    open = "open"
    """Some of what was settled is not in an event yet: sessions run, or wait to be swept."""
    dead_letters = "dead_letters"
    surplus = "surplus"
    """More was recorded than settled, or delivered than recorded: counted twice, or Redis lost its tally."""
    lost = "lost"
    """Recorded, and nowhere to be found."""


@dataclass(frozen=True, slots=True)
class HourAtSink:
    """Microseconds of compute. `settled_us`, `recorded_us`: by the tally; the others by the sent log and the stream."""

    settled_us: int = 0
    recorded_us: int = 0
    delivered_us: int = 0
    in_flight_us: int = 0
    dead_us: int = 0

    @property
    def open_us(self) -> int:
        return max(0, self.settled_us - self.recorded_us)

    @property
    def lost_us(self) -> int:
        return max(0, self.recorded_us - self._found_us)

    @property
    def surplus_us(self) -> int:
        return max(0, self._found_us - self.recorded_us) + max(0, self.recorded_us - self.settled_us)

    @property
    def _found_us(self) -> int:
        return self.delivered_us + self.in_flight_us + self.dead_us

    @property
    def verdict(self) -> Verdict:
        if self.lost_us:
            return Verdict.lost
        if self.surplus_us:
            return Verdict.surplus
        if self.dead_us:
            return Verdict.dead_letters
        if self.open_us:
            return Verdict.open
        return Verdict.in_flight if self.in_flight_us else Verdict.equal


def differs(verdict: Verdict, *, is_complete: bool) -> bool:
    """Whether somebody must look. An hour that is not complete differs only where waiting cannot put it right."""
    if is_complete:
        return verdict not in (Verdict.equal, Verdict.in_flight)
    return verdict in (Verdict.lost, Verdict.surplus)
