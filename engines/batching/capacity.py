"""How many real-time streams one inference thread carries, from what its steps cost. PURE.

A stream of a model asks for one step in each step duration. With batches of b rows the thread gives b / cost(b) rows a
microsecond; it is to be busy for a stated share of its time at most, so that bursts, replays and a slower moment fit.
A row may wait for one step and be in the next: twice the cost of a step must fit into a step duration, or words come
more than one step late however few streams there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.batching.costs import StepCosts

PERMILLE = 1_000


UNLIMITED = 1 << 30
"""As many streams as there are slots for."""


def real_time_streams(costs: StepCosts, *, step_us: int, max_batch: int, busy_permille: int) -> int:
    """Give the most streams that are served in time by a thread which has no other work.

    Args:
        step_us: audio of one step; each stream asks for a step as often.
        busy_permille: the share of its time that the thread may be at work; 0: nobody asks.
    """
    if not busy_permille:
        return UNLIMITED
    best = 0
    batch = 1
    while True:
        cost_us = max(1, costs.predicted_us(batch))
        if 2 * cost_us > step_us:
            break
        best = max(best, batch * step_us * busy_permille // (cost_us * PERMILLE))
        if batch == max_batch:
            break
        batch = min(2 * batch, max_batch)
    return best


def fastest_permille(costs: StepCosts, *, step_us: int) -> int:
    """Give how fast one stream alone is recognised, against 1000 for real time: no replay goes faster."""
    return step_us * PERMILLE // max(1, costs.predicted_us(1))


@dataclass(frozen=True, slots=True)
class ModelDemand:
    """One loaded model: its open streams, and how many of them the thread would carry alone."""

    streams: int
    capacity: int


def load_permille(demands: Iterable[ModelDemand]) -> int:
    """Give how much of the thread's capacity the open streams of all models take, rounded up."""
    taken = 0
    for demand in demands:
        if demand.streams:
            taken += -(-demand.streams * PERMILLE // demand.capacity) if demand.capacity else 10 * PERMILLE
    return taken


def free_streams(demands: list[ModelDemand], number: int) -> int:
    """Give how many more streams of model `number` fit beside all that is open."""
    wanted = demands[number]
    if not wanted.capacity:
        return 0
    others = load_permille(demand for position, demand in enumerate(demands) if position != number)
    return max(0, wanted.capacity * max(0, PERMILLE - others) // PERMILLE - wanted.streams)
