"""Regions that lend compute, in simulated time, by the real rules: root, books, asking, buckets are the product's own.

Beside them, one bucket for all regions: asked for every quantum, or charged when a session ends. What a session costs
is not known before. A session that has begun goes on through a quiet time. A seed makes a run repeatable.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.escrow.borrowed_level import BorrowedLevel
from policies import escrow_region, escrow_root
from policies.compute_quota import Bucket
from policies.plans import MICRO, Level, Principal, Rate, WhenLimiterAway
from tests.harness.window_checker import worst_excess_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.escrow.lending import LevelAsk
    from gateway.escrow.settings import EscrowSettings
    from policies.escrow import Loan

WHO = Principal("acme", "", "")
QUANTUM_US = MICRO
"""Of audio that a session holds compute for at once."""
RETRY_US = MICRO // 2
_BEGAN_US = 1_700_000_000 * MICRO


@dataclass(frozen=True, slots=True)
class Load:
    """`reserve_us`: held for a quantum, its worst cost. Costs are even between the bounds, for each session another."""

    num_sessions: int
    mean_quanta: int = 120
    least_cost_us: int = 50_000
    reserve_us: int = 250_000
    wave_s: int = 0
    quiet_s: int = 0
    waves_until_s: int = 0

    def is_quiet(self, since_us: int) -> bool:
        """No session begins: buckets fill before the next wave. Only in the first `waves_until_s`."""
        since_s = since_us // MICRO
        return since_s < self.waves_until_s and since_s % self.wave_s < self.quiet_s


@dataclass(slots=True)
class Spent:
    """What a run spent, as (instant_us, amount_us)."""

    spends: list[tuple[int, int]] = field(default_factory=list)
    num_root_calls: int = 0

    def worst_excess_us(self, rate: Rate) -> int:
        return worst_excess_us(self.spends, per_s=rate.per_s, burst=rate.burst)

    def utilisation(self, rate: Rate, *, from_us: int, until_us: int) -> float:
        spent_us = sum(amount for at, amount in self.spends if from_us <= at - _BEGAN_US < until_us)
        return spent_us / (rate.per_s * (until_us - from_us) / MICRO)


class Clock:
    """Runs what is due in order of time, without waiting."""

    def __init__(self) -> None:
        self.now_us = _BEGAN_US
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, wait_us: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now_us + wait_us, self._count, act))

    def run(self, for_us: int) -> None:
        until_us = self.now_us + for_us
        while self._due and self._due[0][0] <= until_us:
            self.now_us, _, act = heapq.heappop(self._due)
            act()
        self.now_us = until_us


class Place(Protocol):
    """Where sessions take their compute."""

    def may_run(self, reserve_us: int, *, is_first: bool) -> bool:
        """Whether a session may run a quantum, its first one or another; `settle` follows when it has run."""

    def settle(self, cost_us: int, reserve_us: int, *, session_us: int | None) -> None:
        """A quantum has cost that. `session_us`: the cost of the whole session, with its last quantum."""


def start_sessions(clock: Clock, spent: Spent, load: Load, dice: random.Random, place: Place) -> None:
    """Sessions that run quantum by quantum; one that ends is followed by another."""
    for _ in range(load.num_sessions):
        session = _Session(clock, spent, load, dice, place)
        clock.after(dice.randrange(QUANTUM_US), session.turn)


class _Session:
    def __init__(self, clock: Clock, spent: Spent, load: Load, dice: random.Random, place: Place) -> None:
        self._clock = clock
        self._spent = spent
        self._load = load
        self._dice = dice
        self._place = place
        self._is_running = False
        self._begin()

    def _begin(self) -> None:
        load = self._load
        self._cost_us = self._dice.randrange(load.least_cost_us, load.reserve_us + 1)
        self._quanta_left = 1 + int(self._dice.expovariate(1 / load.mean_quanta))
        self._session_us = 0

    def turn(self) -> None:
        clock, load = self._clock, self._load
        if self._is_running:
            self._spent.spends.append((clock.now_us, self._cost_us))
            self._session_us += self._cost_us
            self._quanta_left -= 1
            is_last = self._quanta_left <= 0
            self._place.settle(self._cost_us, load.reserve_us, session_us=self._session_us if is_last else None)
            if is_last:
                self._begin()
        is_quiet = self._session_us == 0 and load.is_quiet(clock.now_us - _BEGAN_US)
        self._is_running = not is_quiet and self._place.may_run(load.reserve_us, is_first=self._session_us == 0)
        clock.after(QUANTUM_US if self._is_running else RETRY_US, self.turn)


class CentralBucket:
    """One bucket that every region asks without delay: for each quantum, or charged when a session has ended."""

    def __init__(self, rate: Rate, load: Load, *, charges_at_end: bool, seed: int) -> None:
        self.clock = Clock()
        self.spent = Spent()
        self._rate = rate
        self._charges_at_end = charges_at_end
        self._bucket = Bucket.new(rate, now_us=self.clock.now_us)
        start_sessions(self.clock, self.spent, load, random.Random(seed), self)

    def may_run(self, reserve_us: int, *, is_first: bool) -> bool:
        self._bucket.refill(self._rate, now_us=self.clock.now_us)
        if self._charges_at_end:
            return not is_first or self._bucket.balance_us > 0
        self.spent.num_root_calls += 1
        if not self._bucket.may_hold(reserve_us):
            return False
        self._bucket.hold(reserve_us)
        return True

    def settle(self, cost_us: int, reserve_us: int, *, session_us: int | None) -> None:
        if not self._charges_at_end:
            self._bucket.settle(cost_us, out_of_us=reserve_us)
            self._bucket.release(reserve_us - cost_us)
        elif session_us is not None:
            self._bucket.settle(session_us, out_of_us=0)


class Region:
    """One region: the bucket that its sessions hold from, its books, and a gateway that borrows."""

    def __init__(self, world: EscrowWorld, name: str, *, away_ms: int, when_away: WhenLimiterAway) -> None:
        self.name = name
        self.is_cut_off = False
        self.most_held_us = 0
        self._life = 0
        self._world = world
        self._away_us = away_ms * 1_000
        self._books: escrow_region.Books | None = None
        self.holding_us = world.settings.holding().holding_us(world.rate)
        self._rate = Rate(0, self.holding_us)
        self.bucket = Bucket.new(self._rate, now_us=world.clock.now_us)
        self._level = BorrowedLevel(WHO, Level.org, world.settings, now_ms=self._now_ms())
        self._level.noted("plan", world.rate, when_away, now_ms=self._now_ms())
        world.clock.after(0, self.look)

    def may_run(self, reserve_us: int, *, is_first: bool) -> bool:
        self.bucket.refill(self._rate, now_us=self._world.clock.now_us)
        if not self.bucket.may_hold(reserve_us):
            return False
        self.bucket.hold(reserve_us)
        return True

    def settle(self, cost_us: int, reserve_us: int, *, session_us: int | None) -> None:
        self.bucket.settle(cost_us, out_of_us=reserve_us)
        self.bucket.release(reserve_us - cost_us)

    def restart(self) -> None:
        """Its Redis comes back as another server with all its data."""
        self._life += 1

    def look(self) -> None:
        clock, now_ms = self._world.clock, self._now_ms()
        self._books, seen = escrow_region.look(
            self._books,
            self.bucket,
            self._level.step("gateway"),
            now_us=clock.now_us,
            server=f"{self.name}-{self._life}",
        )
        self.most_held_us = max(self.most_held_us, self.bucket.balance_us + self.bucket.held_us)
        ask = self._level.seen(seen, self._world.load.num_sessions, now_ms=now_ms)
        if ask is None:
            clock.after(max(1, self._level.due_ms - now_ms) * 1_000, self.look)
            return
        answer = _Answer()
        self._world.carry(self, lambda: self._at_root(ask, answer))
        clock.after(self._world.settings.call_timeout_ms * 1_000, lambda: self._give_up(answer))

    def _at_root(self, ask: LevelAsk, answer: _Answer) -> None:
        loan = self._world.lend(self.name, ask)
        self._world.carry(self, lambda: self._hear(loan, answer))

    def _hear(self, loan: Loan, answer: _Answer) -> None:
        if not answer.is_over:
            answer.is_over = True
            self._level.answered(loan, now_ms=self._now_ms())
            self.look()

    def _give_up(self, answer: _Answer) -> None:
        if not answer.is_over:
            answer.is_over = True
            self._level.unanswered(now_ms=self._now_ms())
            self._world.clock.after(max(1, self._level.due_ms - self._now_ms()) * 1_000, self.look)

    @property
    def away_us(self) -> int:
        return self._away_us

    def _now_ms(self) -> int:
        return self._world.clock.now_us // 1_000


@dataclass(slots=True)
class _Answer:
    is_over: bool = False


class EscrowWorld:
    """Regions by name with the milliseconds that a message takes to the root. `loss`: the share of messages lost."""

    def __init__(
        self,
        settings: EscrowSettings,
        rate: Rate,
        load: Load,
        regions: dict[str, int],
        *,
        seed: int,
        loss: float = 0.0,
        when_away: WhenLimiterAway = WhenLimiterAway.closed,
    ) -> None:
        self.settings = settings
        self.rate = rate
        self.load = load
        self.clock = Clock()
        self.spent = Spent()
        self.root: escrow_root.Root | None = None
        self.root_server = "root-0"
        self._dice = random.Random(seed)
        self._loss = loss
        self._terms = settings.terms(rate)
        self.regions = {
            name: Region(self, name, away_ms=away_ms, when_away=when_away) for name, away_ms in regions.items()
        }
        for region in self.regions.values():
            start_sessions(self.clock, self.spent, load, self._dice, region)

    def carry(self, region: Region, deliver: Callable[[], None]) -> None:
        """A message between a region and the root, either way: it takes its time, or is lost."""
        if self._dice.random() < self._loss:
            return
        way_us = region.away_us + self._dice.randrange(region.away_us // 10 + 1)
        self.clock.after(way_us, lambda: None if region.is_cut_off else deliver())

    def lend(self, region: str, ask: LevelAsk) -> Loan:
        self.spent.num_root_calls += 1
        self.root, loan = escrow_root.lend(
            self.root, region, ask.ask, self._terms, now_us=self.clock.now_us, server=self.root_server
        )
        return loan

    def run(self, for_s: int) -> None:
        self.clock.run(for_s * MICRO)
