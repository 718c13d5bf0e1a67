"""A region's side of lending for one level: the twin of gateway/escrow/credit.lua, in Python. See policies.escrow.

The balance lies in the bucket that sessions hold from (policies.compute_quota.Bucket, of a rate of 0); the books of
what was received and returned lie beside it. These must stay true:
  - One loan is credited once, however often it is heard of.
  - What is returned leaves the balance before the root hears of it.
  - One gateway of the region asks at a time: the one whose turn it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.escrow import Ask, Outcome

if TYPE_CHECKING:
    from policies.compute_quota import Bucket
    from policies.escrow import Loan

MINTED_AT_ONCE_MS = 5_000
"""A safe rate is given out for at most so long at once: gateways look more often."""


class Minting(StrEnum):
    """Where compute comes from that the root did not lend."""

    never = "never"
    while_away = "while_away"
    """By the safe rate, while the root is away."""
    always = "always"
    """By the safe rate: the root has set it aside."""
    fill = "fill"
    """As much as may be held, while the root is away."""


MINTINGS = tuple(Minting)
"""Lua numbers them by their place here."""


@dataclass(slots=True)
class Books:
    """Totals are of (epoch, generation). `minted_us` and `sequence`: of the generation.

    `unanswered_at_us`: the first ask that came to nothing since one that did not; 0: none. `asker`: whose turn it is
    until `turn_until_us`.
    """

    server: str
    generation: int
    epoch: int = 0
    sequence: int = 0
    received_us: int = 0
    returned_us: int = 0
    minted_us: int = 0
    minted_at_us: int = 0
    unanswered_at_us: int = 0
    asker: str = ""
    turn_until_us: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What a gateway wants done at one level, and what it knows.

    `holding_us`: H_i. `loan`: the root's answer, or None. `is_unanswered`: an ask has failed, or the root said that it
    does not lend at present. `gives_back`: nobody needs the balance. `resets`: begin a new generation.
    `away_after_us`: when nothing came of asking for so long, the root is away.
    """

    asker: str
    turn_us: int
    holding_us: int
    minting: Minting
    safe_per_s: int
    away_after_us: int
    loan: Loan | None = None
    is_unanswered: bool = False
    gives_back: bool = False
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found. `may_ask`: it is this gateway's turn, and `ask` (with nothing wanted yet) may be sent."""

    ask: Ask
    balance_us: int
    minted_us: int
    credited_us: int
    is_root_away: bool
    may_ask: bool
    turn_left_us: int


def look(books: Books | None, bucket: Bucket, step: Look, *, now_us: int, server: str) -> tuple[Books, Seen]:
    """Bring the books of one level up to date. `now_us` and `server` are those of the region's Redis."""
    books = _in_this_life(books, bucket, step, now_us=now_us, server=server)
    _set_back(books, step, now_us=now_us)
    credited_us = 0 if step.loan is None else _credit(books, bucket, step, step.loan)
    if step.is_unanswered and books.unanswered_at_us == 0:
        books.unanswered_at_us = now_us
    is_away = books.unanswered_at_us > 0 and now_us - books.unanswered_at_us >= step.away_after_us
    _mint(books, bucket, step, is_away=is_away, now_us=now_us)
    if step.gives_back and bucket.balance_us > 0:
        books.returned_us += bucket.balance_us
        bucket.balance_us = 0
    may_ask = books.asker in ("", step.asker) or books.turn_until_us <= now_us
    if may_ask:
        books.asker, books.turn_until_us = step.asker, now_us + step.turn_us
        books.sequence += 1
    ask = Ask(
        books.epoch,
        books.generation,
        books.sequence,
        books.received_us,
        books.returned_us,
        bucket.balance_us + bucket.held_us,
        0,
    )
    turn_left_us = books.turn_until_us - now_us
    return books, Seen(ask, bucket.balance_us, books.minted_us, credited_us, is_away, may_ask, turn_left_us)


def _in_this_life(books: Books | None, bucket: Bucket, step: Look, *, now_us: int, server: str) -> Books:
    """What a server holds that may have lost data could have been spent already: it is given up."""
    if books is not None and books.server == server and not step.resets:
        return books
    bucket.balance_us = min(bucket.balance_us, 0)
    if books is None:
        return Books(server, now_us)
    return Books(server, max(now_us, books.generation + 1), books.epoch)


def _set_back(books: Books, step: Look, *, now_us: int) -> None:
    books.minted_at_us = min(books.minted_at_us, now_us)
    books.unanswered_at_us = min(books.unanswered_at_us, now_us)
    books.turn_until_us = min(books.turn_until_us, now_us + step.turn_us)


def _credit(books: Books, bucket: Bucket, step: Look, loan: Loan) -> int:
    if loan.generation > books.generation:
        # The root remembers a later life than ours: a clock went back between the two.
        books.generation = loan.generation + 1
        books.sequence = books.received_us = books.returned_us = 0
        return 0
    if loan.generation < books.generation or loan.epoch < books.epoch or loan.outcome is Outcome.absurd:
        return 0
    if loan.epoch > books.epoch:
        books.epoch = loan.epoch
        books.received_us = books.returned_us = 0
    if not step.is_unanswered:
        books.unanswered_at_us = 0
    new_us = loan.granted_us - books.received_us
    if new_us <= 0:
        return 0
    books.received_us = loan.granted_us
    before_us = bucket.balance_us
    bucket.balance_us = max(before_us, min(before_us + new_us, step.holding_us - bucket.held_us))
    return bucket.balance_us - before_us


def _mint(books: Books, bucket: Bucket, step: Look, *, is_away: bool, now_us: int) -> None:
    room_us = max(0, step.holding_us - bucket.held_us - bucket.balance_us)
    if step.minting is Minting.fill and is_away:
        minted_us = room_us
    elif step.minting is Minting.always or (step.minting is Minting.while_away and is_away):
        since_us = books.minted_at_us or now_us
        since_ms = (now_us - since_us) // 1_000
        minted_us = min(room_us, step.safe_per_s * min(since_ms, MINTED_AT_ONCE_MS) // 1_000)
        books.minted_at_us = since_us + since_ms * 1_000
    else:
        minted_us = 0
        books.minted_at_us = 0
    bucket.balance_us += minted_us
    books.minted_us += minted_us
