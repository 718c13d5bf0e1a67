"""Lending compute between regions: what is said, what is promised, and the proof. The rules are in the files beside.

Each limited level of an org (the org; a project or key with compute limits of its own) has one *root* bucket with rate
r and burst b, in the org's home region. A region, the home region too, spends only what it *holds*: its balance and
what its sessions hold, at most H_i for region i. It asks ahead, off the audio path. All amounts are integer
micro-compute-seconds.

Messages speak in totals since a common beginning, so that lost, repeated and reordered ones do nothing twice:

  - A *generation* is one life of the region's books, an *epoch* one life of the root's. Both sides keep totals of one
    (epoch, generation): granted by the root, received by the region, returned by the region.
  - The region says what it received and returned in all, what it holds and what it wants. The root debits first, then
    answers with what it granted in all. The region credits the difference between granted and received.
  - What was granted and not received (a lost answer, a borrower killed before it could credit) is in the next answer.
    A message with a number that is not above the last one's is answered and changes nothing.

The bound. For every window of length t, wherever it begins:

    spent in the window <= b + r t + sum H_i                                                                  (1)

Proof. Let W be the root's balance, what is granted and not received, what is returned and not acknowledged, and what
the regions hold. A grant, a credit and a return move compute within W. W rises by the root's refill alone, at most r t
in the window, falls by what is spent, and is never negative where no slice costs more than was held for it. So spent <=
W at the window's beginning + r t. The root's balance is at most b. What a region holds, has under way to it and wants
back is at most H_i: the root grants only up to H_i less what the region says to hold and what is under way to it, and
counts too much there, never too little, as a region's message is older than its spending. No clock is compared with
another one.

Partition. (1) holds unchanged while regions only spend what they hold (`closed`). With a safe rate s_i and a partition
of length P the bound is (1) + sum s_i P over the regions cut off; if the root sets sum s_i aside for good, i.e. refills
with r - sum s_i, it is (1) itself. `open` has no bound.

Loss. A root that comes back as another server, with older data or none, begins a new epoch: balance 0, nothing granted
and nothing refilled for one learning time, while regions say what they hold. W is then what regions hold, and (1) holds
with excess 0; the price is at most b and one learning time of refill. A region's Redis that comes back begins a new
generation with balance 0. With older data, sessions may hold from its older balance before the borrower first looks,
at most H_i once for each such loss. A clock that leaps ahead at the root refills at most b, once.

With `covers_loans` the root counts what is lent against the burst (balance + lent <= b), so W <= b, and every window
obeys spent <= b + r t: the holdings cost nothing, as long as b is above their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.plans import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.plans import Rate

MAX_TOTAL_US = 2**52
"""No total, instant or amount in a message is above it: sums of two stay exact in Lua's numbers."""
MAX_EPOCH_AHEAD_US = 86_400 * MICRO
"""A region may know an epoch that lies ahead of the root's clock, as clocks are set back; no more than this."""


class Outcome(StrEnum):
    """What came of one ask; also the metric's label."""

    lent = "lent"
    """All that was wanted, nothing included."""
    short = "short"
    """The root has less than that at present."""
    full = "full"
    """The region would hold more than it may."""
    learning = "learning"
    """The root has lost its books and does not lend yet."""
    stale = "stale"
    """An older message than the last one, or of an older generation; nothing was done."""
    absurd = "absurd"
    """The numbers cannot be; nothing was done. The region must begin a new generation."""
    unlimited = "unlimited"
    """The root knows no such limit: the two regions' plans differ. Never said by the script."""


OUTCOMES = tuple(Outcome)
"""Lua and the protocol number them by their place here."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a region says about one level. `epoch`: the root's that its totals count in; 0: it has heard of none.

    `holding_us`: its balance and what its sessions hold; below zero: debt. `sequence` rises with every message.
    """

    epoch: int
    generation: int
    sequence: int
    received_us: int
    returned_us: int
    holding_us: int
    wanted_us: int


@dataclass(frozen=True, slots=True)
class Loan:
    """The answer: totals of (epoch, generation). `retry_after_ms`: when to ask again if less came than was wanted."""

    outcome: Outcome
    epoch: int
    generation: int
    granted_us: int
    returned_us: int
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """How the root lends at one level. `rate` is what it refills with, safe rates that are set aside already taken off.

    `holding_us`: H_i. `covers_loans`: what is lent counts against the burst.
    """

    rate: Rate
    holding_us: int
    learning_us: int
    covers_loans: bool = False


@dataclass(frozen=True, slots=True)
class HoldingRules:
    """How much a region may hold: `holding_ms` of the rate, at least `least_us`, never more than the burst."""

    holding_ms: int
    least_us: int

    def holding_us(self, rate: Rate) -> int:
        return min(rate.burst, max(self.least_us, rate.per_s * self.holding_ms // 1_000))


def bound_us(
    rate: Rate, *, window_us: int, holdings_us: Iterable[int], safe_per_s: Iterable[int] = (), cut_off_us: int = 0
) -> int:
    """The most that may be spent in a window, rounded up. `safe_per_s`: of the regions cut off, unless set aside."""
    earned = rate.per_s * window_us + sum(safe_per_s) * cut_off_us
    return rate.burst + sum(holdings_us) - (-earned // MICRO)
