"""The worst excess of spending over a token bucket's promise, over every window of any length, exactly.

A bucket of rate r and burst b promises: spent in a window of length t <= b + r t. Windows may begin just before any
spend and end just after any; no other window is worse, as it would only be longer. With S_j the sum of the first j
spends and t_j the instant of the j-th, the worst excess is

    max over i <= j of   (S_j - r t_j) - (S_(i-1) - r t_i)   - b

which one pass finds: the second bracket's least value so far is all that must be remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MICRO = 1_000_000


def worst_excess_us(spends: Iterable[tuple[int, int]], *, per_s: int, burst: int) -> int:
    """How far the worst window goes above the promise, rounded up; below zero: how far it stays below it.

    Args:
        spends: (instant_us, amount_us), the amounts in micro-compute-seconds and not below zero, in any order.
        per_s, burst: as in policies.plans.Rate.
    """
    total = 0
    least: int | None = None
    worst: int | None = None
    # In millionths of a micro-compute-second, so that the rate times an instant is a whole number.
    for at_us, amount_us in sorted(spends):
        earned = per_s * at_us
        before = total * MICRO - earned
        least = before if least is None else min(least, before)
        total += amount_us
        excess = total * MICRO - earned - least
        worst = excess if worst is None else max(worst, excess)
    return -burst if worst is None else -((burst * MICRO - worst) // MICRO)
