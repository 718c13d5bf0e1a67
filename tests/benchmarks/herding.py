"""How often the first replica that a dispatcher asks is full, when load reports are old: a simulation of the rule.

20 engines of 10 slots, sessions that come at random and last 60 s on average, so many that 90 % of the slots are taken;
dispatchers see each engine as it was some time ago, and what they placed themselves since. Beside the rule
(policies.replica_choice) run chance, the least loaded by the report, and the less loaded of two. A full engine grants
no slot: the session goes to another one with room, and no engine ever carries more than it has slots.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.plans import Tier
from policies.replica_choice import NoReplica, ReplicaFacts, ReplicaRequest, choose_replica
from tests.benchmarks.document import markdown_table, write_section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENGINES = 20
SLOTS = 10
LOAD = 0.9
MEAN_SESSION_S = 60.0


@dataclass(frozen=True, slots=True)
class View:
    """What one dispatcher knows: free slots by the old reports, and its own placements that they cannot know of."""

    reported: Sequence[int]
    own: Sequence[int]
    dispatchers: int


def by_chance(view: View, dice: random.Random) -> int:
    return dice.randrange(len(view.reported))


def least_loaded(view: View, dice: random.Random) -> int:
    return max(range(len(view.reported)), key=lambda engine: (view.reported[engine], dice.random()))


def less_of_two(view: View, dice: random.Random) -> int:
    return max(dice.sample(range(len(view.reported)), 2), key=lambda engine: view.reported[engine])


def by_the_rule(view: View, dice: random.Random) -> int:
    replicas = [
        ReplicaFacts(str(engine), reported - own)
        for engine, (reported, own) in enumerate(zip(view.reported, view.own, strict=True))
    ]
    request = ReplicaRequest(Tier.standard, dice.randrange(2**32), dispatchers=view.dispatchers)
    chosen = choose_replica(request, replicas)
    return by_chance(view, dice) if isinstance(chosen, NoReplica) else int(chosen)


RULES: dict[str, Callable[[View, random.Random], int]] = {
    "chance": by_chance,
    "least loaded": least_loaded,
    "two choices": less_of_two,
    "the rule": by_the_rule,
}


@dataclass(frozen=True, slots=True)
class Herd:
    """What came of it. `most_taken`: slots in use on the fullest engine at any time."""

    placed: int
    missed: int
    most_taken: int

    @property
    def missed_percent(self) -> float:
        return 100 * self.missed / self.placed


class _Fleet:
    """Engines that grant slots, and what was known of them `age_s` ago."""

    def __init__(self, age_s: float) -> None:
        self.age_s = age_s
        self.taken = [0] * ENGINES
        self.reported = [SLOTS] * ENGINES
        self.most_taken = 0
        self._ends: list[tuple[float, int]] = []
        self._changes: deque[tuple[float, int, int]] = deque()

    def pass_time(self, now_s: float) -> None:
        while self._ends and self._ends[0][0] <= now_s:
            at_s, engine = heapq.heappop(self._ends)
            self.taken[engine] -= 1
            self._changes.append((at_s, engine, 1))
        while self._changes and self._changes[0][0] <= now_s - self.age_s:
            _, engine, freed = self._changes.popleft()
            self.reported[engine] += freed

    def grant(self, engine: int, now_s: float, until_s: float) -> bool:
        if self.taken[engine] >= SLOTS:
            return False
        self.taken[engine] += 1
        self.most_taken = max(self.most_taken, self.taken[engine])
        self._changes.append((now_s, engine, -1))
        heapq.heappush(self._ends, (until_s, engine))
        return True


def herd(
    choose: Callable[[View, random.Random], int], *, age_s: float, dispatchers: int, sessions: int, seed: int
) -> Herd:
    """Place so many sessions, after as many again have made the fleet busy, and count first choices that were full."""
    dice = random.Random(seed)
    fleet = _Fleet(age_s)
    own = [[0] * ENGINES for _ in range(dispatchers)]
    recent: list[deque[tuple[float, int]]] = [deque() for _ in range(dispatchers)]
    now_s, placed, missed = 0.0, 0, 0
    warm_up = max(sessions // 5, 3 * ENGINES * SLOTS)
    for number in range(warm_up + sessions):
        now_s += dice.expovariate(LOAD * ENGINES * SLOTS / MEAN_SESSION_S)
        fleet.pass_time(now_s)
        dispatcher = dice.randrange(dispatchers)
        while recent[dispatcher] and recent[dispatcher][0][0] <= now_s - age_s:
            own[dispatcher][recent[dispatcher].popleft()[1]] -= 1
        engine = choose(View(fleet.reported, own[dispatcher], dispatchers), dice)
        until_s = now_s + dice.expovariate(1 / MEAN_SESSION_S)
        is_granted = fleet.grant(engine, now_s, until_s)
        if number >= warm_up:
            placed, missed = placed + 1, missed + (not is_granted)
        if not is_granted:
            having = [other for other in range(ENGINES) if fleet.taken[other] < SLOTS]
            if not having:
                continue
            engine = dice.choice(having)
            fleet.grant(engine, now_s, until_s)
        own[dispatcher][engine] += 1
        recent[dispatcher].append((now_s, engine))
    return Herd(placed, missed, fleet.most_taken)


def _table(*, sessions: int, seeds: int) -> str:
    rows = []
    for dispatchers in (1, 3, 10):
        for age_s in (0, 1, 5, 15):
            row = [f"{dispatchers} dispatchers, reports {age_s} s old" if dispatchers > 1 else f"reports {age_s} s old"]
            for choose in RULES.values():
                herds = [
                    herd(choose, age_s=age_s, dispatchers=dispatchers, sessions=sessions, seed=seed)
                    for seed in range(seeds)
                ]
                missed = sum(one.missed_percent for one in herds) / len(herds)
                overloaded = sum(one.most_taken > SLOTS for one in herds)
                row.append(f"{missed:.1f} %" + (f" ({overloaded} overloaded)" if overloaded else ""))
            rows.append(row)
    return markdown_table(["first choices that were full", *RULES], rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.herding", description=__doc__)
    parser.add_argument("--short", action="store_true", help="that it runs, not what comes out")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    table = _table(sessions=100, seeds=1) if arguments.short else _table(sessions=10_000, seeds=4)
    print(table)
    if arguments.write_docs:
        write_section("herding", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
