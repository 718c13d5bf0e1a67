"""How long a step waits for more rows: a rule from measured step times. PURE.

Waiting for a row that is about to come saves a step's fixed cost; whoever is ready pays with latency. While the thread
has time to spare, nothing is gained by saving it, so nobody waits; the less it has, the longer a wait may be.
"""

from __future__ import annotations

from dataclasses import dataclass

IDLE_BELOW_PERMILLE = 500
"""A thread that works less than half of its time has time to spare."""
MAX_WAIT_SHARE = 6
"""A thread that works all of its time lets steps wait for a sixth of their audio: 53 ms of 320 ms."""
FIXED_SHARE = 8
"""Filling stops where the fixed cost is an eighth of the step or less."""


@dataclass(frozen=True, slots=True)
class FillFacts:
    """`live` streams of the model each give a row in every `step_us`; `waiting` rows are ready.

    `fixed_us` and `row_us` are what a step and a row cost; `busy_permille`: how much of its time the thread works.
    """

    waiting: int
    live: int
    max_batch: int
    step_us: int
    fixed_us: int
    row_us: int
    busy_permille: int


def fill_wait_us(facts: FillFacts) -> int:
    """Say for how long, from when the first of them was ready, the ready rows should wait for others."""
    busy_permille = facts.busy_permille - IDLE_BELOW_PERMILLE
    if busy_permille <= 0 or facts.waiting >= min(facts.live, facts.max_batch):
        return 0
    worthwhile = min(facts.live, facts.max_batch, (FIXED_SHARE - 1) * facts.fixed_us // facts.row_us)
    missing = worthwhile - facts.waiting
    if missing <= 0:
        return 0
    longest_us = facts.step_us * busy_permille // ((1_000 - IDLE_BELOW_PERMILLE) * MAX_WAIT_SHARE)
    return min(missing * facts.step_us // facts.live, longest_us)
