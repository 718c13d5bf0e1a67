"""The arithmetic of a compute bucket that knows what is held: the twin of gateway/limits/quota.lua, in Python.

A hold is taken before work and settled with the true cost after it. What is held counts against the burst, so
`balance + held <= burst` always. Then for every window of length t, wherever it begins:

    settled in the window <= burst + rate * t

as balance + held can only rise by the rate, falls by what is settled, and is never below zero while no slice costs more
than was held for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.plans import MICRO

if TYPE_CHECKING:
    from policies.plans import Rate


@dataclass(slots=True)
class Bucket:
    """Integers of a millionth of what is limited. Call `refill` with the present before anything else.

    A bucket with `per_s` 0 is borrowed: it begins empty and gains only what is credited to it.
    """

    balance_us: int
    held_us: int
    at_us: int
    """When it was last refilled; Unix time."""
    carry: int
    """What the last refill left over, in millionths of a unit."""

    @classmethod
    def new(cls, rate: Rate, *, now_us: int) -> Bucket:
        return cls(balance_us=rate.burst if rate.per_s > 0 else 0, held_us=0, at_us=now_us, carry=0)

    def refill(self, rate: Rate, *, now_us: int) -> None:
        """Time that went back gains and loses nothing; time that leapt ahead gains at most one burst."""
        elapsed_us = max(0, now_us - self.at_us)
        self.at_us = now_us
        most_us = rate.burst - self.held_us
        gained, left = divmod(rate.per_s * elapsed_us + self.carry, MICRO)
        if self.balance_us + gained >= most_us:
            self.balance_us, self.carry = most_us, 0
        else:
            self.balance_us, self.carry = self.balance_us + gained, left

    def may_hold(self, amount_us: int) -> bool:
        return amount_us <= self.balance_us

    def hold(self, amount_us: int) -> None:
        """Whether it may is the caller's question: what was spent already is held without asking."""
        self.balance_us -= amount_us
        self.held_us += amount_us

    def settle(self, cost_us: int, *, out_of_us: int) -> None:
        """Work has cost `cost_us`, for which its tab holds `out_of_us`; what is above that may become a debt."""
        from_held_us = min(cost_us, out_of_us, self.held_us)
        self.held_us -= from_held_us
        self.balance_us -= cost_us - from_held_us

    def spend_in_shadow(self, cost_us: int) -> None:
        """Of a level in shadow mode, at which nothing is held: never below zero."""
        self.balance_us = max(min(self.balance_us, 0), self.balance_us - cost_us)

    def release(self, unused_us: int) -> None:
        back_us = min(unused_us, self.held_us)
        self.held_us -= back_us
        self.balance_us += back_us

    def wait_ms(self, amount_us: int, rate: Rate) -> int | None:
        """Until it may hold so much if nobody else takes any; None: that never comes by itself."""
        if amount_us > rate.burst or rate.per_s == 0:
            return None
        missing_us = max(0, amount_us - self.balance_us)
        return -(-missing_us * 1_000 // rate.per_s)
