"""Holds a replica or a region that fails sessions out for a while, and lets a few try it again. Pure: told the time.

Admitting, until failures come in a row or its owner trips it; then tripped for a cool-off that grows with each trip;
then probing: a given number of sessions may show that it works. One success closes it, one failure trips it anew.
Streams placed before the trip say nothing of what comes after it: neither their failures lengthen the cool-off nor
their successes end it.

Source of the shape: Envoy's outlier detection (ejection for a base time times the number of ejections, a step less
for each healthy interval, and a cap on the share that is held out), without its trap: there a good active health check
brings a host back although sessions fail on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.routing_facts import Health

if TYPE_CHECKING:
    from collections.abc import Sequence

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When to trip, how long to stay so.

    Attributes:
        failures_in_a_row: sessions lost to it without one that went well between them.
        first_cool_off_ms: times the number of trips, at most `max_cool_off_ms`.
        forgive_after_ms: each such time without a failure takes one trip off the count.
        probe_sessions: how many sessions may try it at once when it cooled off.
        probe_timeout_ms: a probe that was not heard of for so long counts no more, and another may go.
    """

    failures_in_a_row: int = 5
    first_cool_off_ms: int = 5_000
    max_cool_off_ms: int = 120_000
    forgive_after_ms: int = 60_000
    probe_sessions: int = 1
    probe_timeout_ms: int = 10_000

    def __post_init__(self) -> None:
        if min(self.failures_in_a_row, self.probe_sessions, self.forgive_after_ms, self.probe_timeout_ms) < 1:
            raise ValueError("a breaker needs at least one failure, one probe session and times above zero")
        if not 0 < self.first_cool_off_ms <= self.max_cool_off_ms:
            raise ValueError("cool-offs must rise: 0 < first <= max")


class Breaker:
    """Of one replica or region. Times must not fall from call to call."""

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._failures = 0
        self._trips = 0
        self._tripped_at_ms: int | None = None
        self._open_until_ms = 0
        self._calm_since_ms = 0
        self._probes_at_ms: list[int] = []

    def state(self, now_ms: int) -> Health:
        """How it stands. Probing also while all its probes are under way: then `begin` says no."""
        if self._tripped_at_ms is None:
            return Health.admitting
        return Health.tripped if now_ms < self._open_until_ms else Health.probing

    def cool_off_left_ms(self, now_ms: int) -> int:
        """Until it may be probed; 0 when it is not tripped."""
        return 0 if self._tripped_at_ms is None else max(0, self._open_until_ms - now_ms)

    def begin(self, now_ms: int) -> bool:
        """Whether a session may be placed there now. Ask for each: when probing, yes uses up a probe."""
        match self.state(now_ms):
            case Health.admitting:
                return True
            case Health.tripped:
                return False
            case Health.probing:
                oldest_ms = now_ms - self._limits.probe_timeout_ms
                self._probes_at_ms = [at_ms for at_ms in self._probes_at_ms if at_ms > oldest_ms]
                if len(self._probes_at_ms) >= self._limits.probe_sessions:
                    return False
                self._probes_at_ms.append(now_ms)
                return True

    def succeeded(self, now_ms: int, *, placed_at_ms: int) -> None:
        """A session placed at that time went well there."""
        if self._is_of_before(placed_at_ms):
            return
        if self._tripped_at_ms is not None and self.state(now_ms) is Health.probing:
            self._tripped_at_ms = None
            self._probes_at_ms = []
            self._calm_since_ms = now_ms
        self._failures = 0

    def failed(self, now_ms: int, *, placed_at_ms: int) -> None:
        """A session placed at that time was lost to it."""
        if self._is_of_before(placed_at_ms):
            return
        if self._tripped_at_ms is not None:
            self.trip(now_ms)
            return
        self._forgive(now_ms)
        self._failures += 1
        if self._failures >= self._limits.failures_in_a_row:
            self.trip(now_ms)

    def turned_away(self, now_ms: int) -> None:
        """A placement that `begin` let through came to nothing that says how well it works: its probe is given back."""
        if self._probes_at_ms and self.state(now_ms) is Health.probing:
            self._probes_at_ms.pop()

    def trip(self, now_ms: int) -> None:
        """Hold it out, whatever it was. Does nothing while it cools off."""
        if self.state(now_ms) is Health.tripped:
            return
        self._forgive(now_ms)
        self._trips += 1
        self._failures = 0
        self._probes_at_ms = []
        self._tripped_at_ms = now_ms
        cool_off_ms = min(self._limits.max_cool_off_ms, self._limits.first_cool_off_ms * self._trips)
        self._open_until_ms = now_ms + cool_off_ms

    def _forgive(self, now_ms: int) -> None:
        """Something failed: take the trips off that the calm before it has earned."""
        if self._tripped_at_ms is None:
            self._trips = max(0, self._trips - (now_ms - self._calm_since_ms) // self._limits.forgive_after_ms)
        self._calm_since_ms = now_ms

    def _is_of_before(self, placed_at_ms: int) -> bool:
        return self._tripped_at_ms is not None and placed_at_ms < self._open_until_ms


def held_out(tripped: Sequence[str], *, among: int, max_permille: int) -> frozenset[str]:
    """Give which of the tripped ones stay out, so that no more than a share of all is out at once.

    Where many fail together the fault is rarely theirs, and to turn everybody away helps nobody: the others are tried
    after all that is well. Only ones that the session may use are counted, so that this never leads out of its set.

    Args:
        tripped: worst first.
        among: how many there are, with the tripped ones.
    """
    return frozenset(tripped[: among * max_permille // _PERMILLE])
