"""How long a step waits for more rows: a rule from measured step times. PURE.

Waiting for a row that is about to come saves a step's fixed cost; whoever is ready pays with latency. While the thread
has time to spare, nothing is gained by saving it, so nobody waits.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_WAIT_SHARE = 16
"""A step waits for a sixteenth of its audio at most: 20 ms of 320 ms."""
FIXED_SHARE = 4
"""Filling stops where the fixed cost is a quarter of the step or less."""


@dataclass(frozen=True, slots=True)
class FillFacts:
    """`live` streams of the model each give a row in every `step_us`; `waiting` rows are ready.

    `fixed_us` and `row_us` are what a step and a row of it cost; `is_busy`: the thread has no time to spare.
    """

    waiting: int
    live: int
    max_batch: int
    step_us: int
    fixed_us: int
    row_us: int
    is_busy: bool


def fill_wait_us(facts: FillFacts) -> int:
    """Say for how long, from when the first of them was ready, the ready rows should wait for others."""
    if not facts.is_busy or facts.waiting >= min(facts.live, facts.max_batch):
        return 0
    worthwhile = min(facts.live, facts.max_batch, (FIXED_SHARE - 1) * facts.fixed_us // facts.row_us)
    missing = worthwhile - facts.waiting
    if missing <= 0:
        return 0
    return min(missing * facts.step_us // facts.live, facts.step_us // MAX_WAIT_SHARE)
