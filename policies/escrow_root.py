"""The root's side of lending for one level: the twin of gateway/escrow/lend.lua, in Python. See policies.escrow.

These must stay true:
  - What is granted was debited before; what an older message says changes nothing.
  - What another hungry region has waited for is not lent to the one that asks more often.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.escrow import MAX_EPOCH_AHEAD_US, MAX_TOTAL_US, Loan, Outcome
from policies.plans import MICRO

if TYPE_CHECKING:
    from policies.escrow import Ask, Terms
    from policies.plans import Rate

HUNGRY_US = 2 * MICRO
"""For so long after it got less than it wanted a region's share is kept for it."""
OWED_US = MICRO
"""A hungry region is owed its share of the rate for at most so long."""
MIN_RETRY_MS = 20
MAX_RETRY_MS = 500


@dataclass(slots=True)
class Account:
    """What the root knows of one region. `missing_us`: of what it wanted last; `asked_at_us`: when that was."""

    generation: int
    sequence: int = 0
    granted_us: int = 0
    received_us: int = 0
    returned_us: int = 0
    holding_us: int = 0
    missing_us: int = 0
    asked_at_us: int = 0

    @property
    def lent_us(self) -> int:
        """What it holds and what is under way to it, by its last message."""
        return max(0, self.holding_us) + self.granted_us - self.received_us


@dataclass(slots=True)
class Root:
    """`server`: which life of which Redis wrote this."""

    server: str
    epoch: int
    learning_until_us: int
    balance_us: int
    at_us: int
    carry: int
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def lent_us(self) -> int:
        return sum(account.lent_us for account in self.accounts.values())


def lend(root: Root | None, region: str, ask: Ask, terms: Terms, *, now_us: int, server: str) -> tuple[Root, Loan]:
    """Answer one message. `now_us` and `server` are those of the root's Redis; `root` is None where it has no books."""
    root = _in_this_life(root, ask, terms, now_us=now_us, server=server)
    _set_back(root, terms, now_us=now_us)
    _refill(root, terms, now_us=now_us)
    account = root.accounts.get(region)
    if _is_absurd(ask, root, account, now_us=now_us):
        return root, Loan(Outcome.absurd, root.epoch, ask.generation, 0, 0)
    if account is None or ask.generation > account.generation:
        account = root.accounts[region] = Account(ask.generation)
    if ask.generation < account.generation or ask.sequence <= account.sequence:
        return root, _loan(Outcome.stale, root, account)
    _learn(root, account, ask, terms)
    if now_us < root.learning_until_us:
        account.missing_us = 0
        return root, _loan(Outcome.learning, root, account, _wait_ms(root.learning_until_us - now_us))
    return root, _grant(root, account, ask, terms, now_us=now_us)


def _in_this_life(root: Root | None, ask: Ask, terms: Terms, *, now_us: int, server: str) -> Root:
    """Books of another life, or behind what a region has heard of the root already, are not believed."""
    known = 0 if root is None else root.epoch
    heard = ask.epoch if ask.epoch <= max(known, now_us) + MAX_EPOCH_AHEAD_US else 0
    if root is not None and root.server == server and heard <= known:
        return root
    epoch = max(now_us, known + 1, heard + 1)
    return Root(server, epoch, now_us + terms.learning_us, 0, now_us, 0)


def _set_back(root: Root, terms: Terms, *, now_us: int) -> None:
    """Nothing is gained, lost or waited for because a clock went back."""
    if now_us >= root.at_us:
        return
    root.at_us = now_us
    root.learning_until_us = min(root.learning_until_us, now_us + terms.learning_us)
    for account in root.accounts.values():
        account.asked_at_us = min(account.asked_at_us, now_us)


def _refill(root: Root, terms: Terms, *, now_us: int) -> None:
    """Not while learning: another server may still be lending by the same rate."""
    elapsed_us = max(0, now_us - max(root.at_us, root.learning_until_us))
    root.at_us = now_us
    gained_us, root.carry = divmod(terms.rate.per_s * elapsed_us + root.carry, MICRO)
    _add(root, gained_us, terms)


def _add(root: Root, gained_us: int, terms: Terms) -> None:
    most_us = _most_us(root, terms)
    if root.balance_us + gained_us >= most_us:
        root.balance_us, root.carry = most_us, 0
    else:
        root.balance_us += gained_us


def _most_us(root: Root, terms: Terms) -> int:
    return max(0, terms.rate.burst - root.lent_us) if terms.covers_loans else terms.rate.burst


def _is_absurd(ask: Ask, root: Root, account: Account | None, *, now_us: int) -> bool:
    totals = (ask.epoch, ask.generation, ask.sequence, ask.received_us, ask.returned_us, ask.wanted_us)
    if not all(0 <= total <= MAX_TOTAL_US for total in totals) or abs(ask.holding_us) > MAX_TOTAL_US:
        return True
    if ask.generation == 0 or ask.sequence == 0 or ask.epoch > max(root.epoch, now_us) + MAX_EPOCH_AHEAD_US:
        return True
    is_of_now = account is not None and (ask.epoch, ask.generation) == (root.epoch, account.generation)
    return account is not None and is_of_now and ask.received_us > account.granted_us


def _learn(root: Root, account: Account, ask: Ask, terms: Terms) -> None:
    """Take over what the region says. Totals of another epoch count for nothing here, what it holds does."""
    account.sequence = ask.sequence
    account.holding_us = ask.holding_us
    if ask.epoch != root.epoch:
        return
    account.received_us = max(account.received_us, ask.received_us)
    back_us = ask.returned_us - account.returned_us
    if back_us > 0:
        account.returned_us = ask.returned_us
        # A region never holds more, so it cannot give more back; the rest is not believed.
        _add(root, min(back_us, terms.holding_us), terms)


def _grant(root: Root, account: Account, ask: Ask, terms: Terms, *, now_us: int) -> Loan:
    room_us = terms.holding_us - (account.holding_us + account.granted_us - account.received_us)
    fitting_us = max(0, min(ask.wanted_us, room_us))
    others = _others_hungry(root, account, now_us=now_us)
    owed_us = sum(_owed_us(other, len(others) + 1, terms.rate, now_us=now_us) for other in others)
    granted_us = min(fitting_us, max(0, root.balance_us - owed_us))
    root.balance_us -= granted_us
    account.granted_us += granted_us
    account.asked_at_us = now_us
    account.missing_us = fitting_us - granted_us
    if account.missing_us > 0:
        # Each factor is bounded first: the product stays exact in Lua's numbers.
        short_us = min(account.missing_us, terms.rate.per_s)
        wait_ms = short_us * (len(others) + 1) * 1_000 // max(1, terms.rate.per_s) + 1
        return _loan(Outcome.short, root, account, min(MAX_RETRY_MS, max(MIN_RETRY_MS, wait_ms)))
    return _loan(Outcome.lent if fitting_us == ask.wanted_us else Outcome.full, root, account)


def _others_hungry(root: Root, account: Account, *, now_us: int) -> list[Account]:
    return [
        other
        for other in root.accounts.values()
        if other is not account and other.missing_us > 0 and now_us - other.asked_at_us <= HUNGRY_US
    ]


def _owed_us(other: Account, num_hungry: int, rate: Rate, *, now_us: int) -> int:
    """An equal share of the rate since it last asked, up to what it missed then."""
    waited_us = min(now_us - other.asked_at_us, OWED_US)
    return min(other.missing_us, rate.per_s * waited_us // MICRO // num_hungry)


def _wait_ms(wait_us: int) -> int:
    return min(MAX_RETRY_MS, max(MIN_RETRY_MS, wait_us // 1_000 + 1))


def _loan(outcome: Outcome, root: Root, account: Account, retry_after_ms: int = 0) -> Loan:
    return Loan(outcome, root.epoch, account.generation, account.granted_us, account.returned_us, retry_after_ms)
