"""When a region asks its org's root for compute, for how much, and when it looks again. Pure; the time is given.

A region keeps enough for the next moment of its demand. It asks when less than the low-water mark is left, for as much
as its demand needs, at least a chunk, never above what it may hold. A root that has too little says when to come again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.escrow import Outcome

if TYPE_CHECKING:
    from policies.escrow import Ask, Loan
    from policies.plans import Rate

_SMOOTHING_MS = 1_000
"""The demand is an average over about so long; it rises at once and falls slowly."""
MAX_LEVEL_WANTED_US = 2**50


@dataclass(frozen=True, slots=True)
class AskingRules:
    """`chunk_ms`: of the root's rate, the least to ask for. `ahead_ms`: of demand, to have in hand when a loan arrives.

    `report_ms`: how often a region speaks though it wants nothing, so that the root knows what it holds. `look_ms`: the
    shortest time between two looks. `idle_ms`: a level that nobody used for so long gives back what it holds.
    """

    chunk_ms: int
    ahead_ms: int
    report_ms: int
    look_ms: int
    idle_ms: int


@dataclass(slots=True)
class Demand:
    """How fast a level spends, as one gateway sees it from look to look."""

    per_s: int = 0
    spent_us: int | None = None
    at_ms: int = 0
    used_at_ms: int = 0

    def observe(self, spent_us: int, *, now_ms: int) -> None:
        """`spent_us`: in all, of one generation; a smaller number than before begins a new count."""
        before_us, elapsed_ms = self.spent_us, now_ms - self.at_ms
        if before_us is None or spent_us < before_us:
            self.spent_us, self.at_ms = spent_us, now_ms
            self.used_at_ms = max(self.used_at_ms, now_ms)
            return
        if elapsed_ms <= 0:
            return
        if spent_us > before_us:
            self.used_at_ms = now_ms
        seen_per_s = (spent_us - before_us) * 1_000 // elapsed_ms
        weight_ms = min(elapsed_ms, _SMOOTHING_MS)
        smoothed = (self.per_s * (_SMOOTHING_MS - weight_ms) + seen_per_s * weight_ms) // _SMOOTHING_MS
        self.per_s = smoothed if seen_per_s < self.per_s else max(smoothed, seen_per_s // 2)
        self.spent_us, self.at_ms = spent_us, now_ms


def spent_us(ask: Ask, minted_us: int) -> int:
    """What a level has spent since some beginning, which another epoch or generation moves."""
    return ask.received_us - ask.returned_us + minted_us - ask.holding_us


def low_water_us(demand_per_s: int, rate: Rate, holding_us: int, rules: AskingRules) -> int:
    ahead_us = demand_per_s * rules.ahead_ms // 1_000
    return min(holding_us, max(ahead_us, _chunk_us(rate, rules) // 2, 1))


def wanted_us(balance_us: int, ask: Ask, demand_per_s: int, rate: Rate, holding_us: int, rules: AskingRules) -> int:
    """How much to ask for at once; 0: there is enough, or no room."""
    low_us = low_water_us(demand_per_s, rate, holding_us, rules)
    if balance_us >= low_us:
        return 0
    target_us = max(2 * low_us, low_us + _chunk_us(rate, rules))
    room_us = holding_us - ask.holding_us
    if room_us < min(holding_us, _chunk_us(rate, rules)) // 8:
        return 0
    return max(0, min(target_us - balance_us, room_us, MAX_LEVEL_WANTED_US))


def look_after_ms(balance_us: int, demand_per_s: int, low_us: int, loan: Loan | None, rules: AskingRules) -> int:
    """When to look again. `loan`: what was just answered to an ask that wanted something, if there was one."""
    if loan is not None and loan.outcome in (Outcome.short, Outcome.learning):
        return max(rules.look_ms, loan.retry_after_ms)
    if balance_us <= low_us:
        return rules.look_ms
    if demand_per_s == 0:
        return rules.report_ms
    return min(rules.report_ms, max(rules.look_ms, (balance_us - low_us) * 1_000 // demand_per_s))


def _chunk_us(rate: Rate, rules: AskingRules) -> int:
    return max(1, rate.per_s * rules.chunk_ms // 1_000)
