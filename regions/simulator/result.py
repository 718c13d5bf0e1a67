"""What came of one fleet in one scenario. Plain data: the same scenario and seed give the same result, bit by bit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Served:
    """Session-seconds: `offered`, how long callers spoke; `served`, of these, while an engine heard them live.

    What is not served: waits for a first engine, pauses of moves, and the rest of what was given up.
    """

    offered_s: float = 0.0
    served_s: float = 0.0

    @property
    def permille(self) -> float:
        return 1_000.0 * self.served_s / self.offered_s if self.offered_s else 1_000.0


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """Each session that was offered has ended in one of three ways, or goes on at the scenario's end.

    Attributes:
        finished: spoke to its end, with an engine.
        lost: had an engine, lost it and found no other.
        refused: never got one.
        unfinished: goes on when the scenario ends.
        calls_refused: all refusals of calls, also of sessions that were served on a later try.
        calls_shed: of these, where other tiers had room: premium or standard did, and this one did not.
        shed: sessions that ended so that one of a higher tier could go on; their clients call again.
        first_choices_refused: placements whose first region turned out to be full.
        overflowed: placements in another region than the caller's own.
        displaced: losses of an engine without a move before; several of one session count each.
        displaced_without_slot: of these, no region had a slot at the first try.
        moved_ahead: moves before a machine went, after its notice.
        reconnected: clients that called again because their gateway was lost, or because nobody moved them.
        paced: waits for a turn after a loss.
        throttled: sessions that waited for compute of their org.
        outside_policy: placements outside of the session's policy set; anything but 0 is a defect.
    """

    offered: int = 0
    finished: int = 0
    lost: int = 0
    refused: int = 0
    unfinished: int = 0
    calls_refused: int = 0
    calls_shed: int = 0
    shed: int = 0
    first_choices_refused: int = 0
    overflowed: int = 0
    displaced: int = 0
    displaced_without_slot: int = 0
    moved_ahead: int = 0
    reconnected: int = 0
    paced: int = 0
    throttled: int = 0
    outside_policy: int = 0


@dataclass(frozen=True, slots=True)
class Costs:
    """Engine-hours by class, starting machines too, and the price in hours on demand."""

    reserved_hours: float = 0.0
    on_demand_hours: float = 0.0
    spot_hours: float = 0.0
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """Of moves without notice: from when the words stopped to the first new ones. Milliseconds; 0 where none was."""

    count: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    longest_ms: float = 0.0
    histogram: tuple[tuple[int, int], ...] = ()
    """(upper edge in ms, how many), without empty ones; edges grow by a tenth."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The whole world at one time: sessions that want an engine, those that have one; ready slots by class.

    `offered_s`, `served_s`: session-seconds since the moment before, with an engine or without; with one.
    """

    at_ms: int
    wanted: int
    served: int
    reserved_slots: int
    on_demand_slots: int
    spot_slots: int
    offered_s: float = 0.0
    served_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lending:
    """Of one limited org. `excess_us`: the most that any window spent above the bound of policies.escrow; never > 0."""

    org: str
    spent_s: float
    throttled_s: float
    excess_us: int


@dataclass(frozen=True, slots=True)
class Result:
    """Of one fleet. `events`: how many it took."""

    scenario: str
    seed: int
    fleet: str
    served: Served
    sessions: SessionCounts
    costs: Costs
    pauses: Pauses
    by_tier: Mapping[str, Served] = field(default_factory=dict)
    by_region: Mapping[str, Served] = field(default_factory=dict)
    """By the callers' home."""
    by_profile: Mapping[str, Served] = field(default_factory=dict)
    series: tuple[Moment, ...] = ()
    lending: tuple[Lending, ...] = ()
    events: int = 0
