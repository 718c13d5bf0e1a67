"""The calls of lend.lua and credit.lua: arguments in, loans and findings out."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from gateway.limits.script_call import Script, run_script
from policies.escrow import OUTCOMES, Ask, Loan, Outcome
from policies.escrow_region import MINTINGS, Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.redis_link.client import RedisLink
    from policies.escrow import Terms
    from policies.escrow_region import Look
    from policies.plans import Level, Principal

    LevelOf = tuple[Principal, Level]

BOOKS_TTL_S = 30 * 86_400
"""Books that nobody touched for so long are forgotten; the root then learns anew."""
_PER_LOAN = 6
_PER_SEEN = 13


@functools.cache
def lend_script() -> Script:
    return Script.in_package("gateway.escrow", "lend.lua")


@functools.cache
def credit_script() -> Script:
    return Script.in_package("gateway.escrow", "credit.lua")


async def lend(link: RedisLink, region: str, asks: Sequence[tuple[LevelOf, Ask, Terms]]) -> list[Loan]:
    """At the root, in one step for levels of one org; a loan for each. Raises RedisAway."""
    keys = [link.names.lend(*level) for level, _, _ in asks]
    arguments = [region.encode(), b"%d" % BOOKS_TTL_S]
    for _, ask, terms in asks:
        numbers = (
            *(ask.epoch, ask.generation, ask.sequence, ask.received_us, ask.returned_us, ask.holding_us, ask.wanted_us),
            *(terms.rate.per_s, terms.rate.burst, terms.holding_us, terms.learning_us, int(terms.covers_loans)),
        )
        arguments += [b"%d" % number for number in numbers]
    answer = await link.ask(lambda redis: run_script(redis, lend_script(), keys, arguments))
    return [_loan(*answer[at : at + _PER_LOAN]) for at in range(0, len(answer), _PER_LOAN)]


async def look(link: RedisLink, looks: Sequence[tuple[LevelOf, Look]]) -> list[tuple[Seen, int]]:
    """In the region, in one step for levels of one org: what was found at each, and how many sessions it has.

    All looks have the same asker and times. Raises RedisAway.
    """
    names = link.names
    keys = [key for level, _ in looks for key in (names.bucket(*level), names.borrow(*level), names.leases(*level))]
    first = looks[0][1]
    arguments = [first.asker.encode(), b"%d" % first.turn_us, b"%d" % first.away_after_us, b"%d" % BOOKS_TTL_S]
    for _, step in looks:
        loan = step.loan or Loan(Outcome.absurd, 0, 0, 0, 0)
        flags = (step.is_unanswered, step.gives_back, step.resets, step.loan is not None)
        numbers = (
            *(step.holding_us, MINTINGS.index(step.minting) + 1, step.safe_per_s, *flags),
            *(loan.epoch, loan.generation, loan.granted_us, loan.outcome is Outcome.absurd),
        )
        arguments += [b"%d" % number for number in numbers]
    answer = await link.ask(lambda redis: run_script(redis, credit_script(), keys, arguments))
    return [_seen(answer[at : at + _PER_SEEN]) for at in range(0, len(answer), _PER_SEEN)]


def _loan(outcome: int, *rest: int) -> Loan:
    return Loan(OUTCOMES[outcome - 1], *rest)


def _seen(n: Sequence[int]) -> tuple[Seen, int]:
    ask = Ask(n[0], n[1], n[2], n[3], n[4], n[5], 0)
    return Seen(ask, n[6], n[7], n[8], bool(n[9]), bool(n[10]), n[11]), n[12]
