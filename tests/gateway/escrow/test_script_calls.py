"""lend.lua and credit.lua on a real Redis do what their twins in policies/ do: state and answer, step by step."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gateway.escrow import script_calls
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from policies import escrow_region, escrow_root
from policies.compute_quota import Bucket
from policies.escrow import Ask, Loan, Outcome, Terms
from policies.escrow_region import MINTINGS, Books, Look, Seen
from policies.escrow_root import Account, Root
from policies.plans import MAX_BURST, MAX_RATE_PER_S, MICRO, Level, Principal, Rate

if TYPE_CHECKING:
    import redis

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

WHO = Principal("acme", "web", "0123456789abcdef")
STEPS = 150
REGIONS = ("eu", "us", "ap-south-1")


def link_to(server: RedisServer) -> RedisLink:
    return RedisLink(RedisSettings(urls=(SecretStr(server.url),), call_timeout_ms=5_000))


def read_root(client: redis.Redis, key: str) -> Root | None:
    stored: Any = client.hgetall(key)
    if not stored:
        return None
    root = Root(
        stored["server"],
        *(int(stored[name]) for name in ("epoch", "learning_until_us", "balance_us", "at_us", "carry")),
    )
    for name, text in stored.items():
        if name.startswith("a:"):
            generation, sequence, granted, received, returned, holding, missing, asked = map(int, text.split())
            root.accounts[name[2:]] = Account(
                generation, sequence, granted, received, returned, holding, missing, asked
            )
    return root


def disturb_root(client: redis.Redis, key: str, root: Root | None, dice: random.Random) -> Root | None:
    """What time, failovers and losses do to the books between two messages."""
    if root is None:
        return None
    match dice.randrange(8):
        case 0:
            client.hset(key, "server", "another")
        case 1:
            client.delete(key)
        case 2 | 3:
            client.hset(key, "at_us", root.at_us - dice.choice([-5, -1, 1, 3, 40, 10**6]) * dice.randrange(1, 10**7))
        case 4 | 5 | 6:
            client.hset(key, "learning_until_us", 0)
            client.hset(key, "balance_us", dice.randrange(0, 10 ** dice.randrange(1, 16)))
    return read_root(client, key)


def an_ask(root: Root | None, region: str, dice: random.Random) -> Ask:
    account = None if root is None else root.accounts.get(region)
    total = 10 ** dice.randrange(1, 13)
    ask = Ask(
        epoch=dice.choice([0, root.epoch if root else 0, root.epoch if root else 5]),
        generation=account.generation if account else dice.randrange(1, 50),
        sequence=account.sequence + 1 if account else 1,
        received_us=account.granted_us if account else 0,
        returned_us=(account.returned_us if account else 0) + dice.choice([0, 0, dice.randrange(total)]),
        holding_us=dice.randrange(-total // 4 - 1, total),
        wanted_us=dice.choice([0, dice.randrange(total)]),
    )
    odd = [
        {},
        {},
        {},
        {},
        {},
        {"sequence": ask.sequence - 1},
        {"generation": ask.generation + 1},
        {"generation": ask.generation - 1},
        {"epoch": ask.epoch + dice.randrange(10**13)},
        {"wanted_us": -1},
        {"received_us": max(0, ask.received_us - dice.randrange(total))},
        {"received_us": ask.received_us + 1},
        {"returned_us": 2**53 - 2},
        {"epoch": 2**51},
    ]
    return replace(ask, **dice.choice(odd))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_root_in_lua_lends_as_its_twin_does(redis_server: RedisServer, seed: int) -> None:
    dice = random.Random(seed)
    link = link_to(redis_server)
    outcomes = set()
    with redis_server.client() as client:
        key = link.names.lend(WHO, Level.org)
        server = client.info("server")["run_id"]
        for _ in range(STEPS):
            rate = Rate(dice.choice([1, MICRO // 3, 100 * MICRO, MAX_RATE_PER_S]), dice.choice([1, 10**9, MAX_BURST]))
            terms = Terms(rate, dice.choice([10**5, 10**8, 10**12]), dice.choice([0, 0, 10**7]), dice.random() < 0.5)
            before = disturb_root(client, key, read_root(client, key), dice)
            region = dice.choice(REGIONS)
            ask = an_ask(before, region, dice)
            (loan,) = await script_calls.lend(link, region, [((WHO, Level.org), ask, terms)])
            after = read_root(client, key)
            assert after is not None
            expected, expected_loan = escrow_root.lend(before, region, ask, terms, now_us=after.at_us, server=server)
            assert loan == expected_loan
            assert after == expected
            outcomes.add(loan.outcome)
    await link.aclose()
    assert len(outcomes) >= 5


def read_books(client: redis.Redis, key: str) -> Books | None:
    stored: Any = client.hgetall(key)
    if not stored:
        return None
    return Books(**{name: value if name in ("server", "asker") else int(value) for name, value in stored.items()})


def read_bucket(client: redis.Redis, key: str) -> Bucket:
    stored: Any = client.hgetall(key)
    return Bucket(*(int(stored.get(name, 0)) for name in ("balance_us", "held_us", "at_us", "carry")))


def disturb_books(client: redis.Redis, keys: tuple[str, str], dice: random.Random) -> None:
    bucket_key, key = keys
    match dice.randrange(12):
        case 0:
            client.hset(key, "server", "another") if client.exists(key) else None
        case 1:
            client.delete(key)
        case 2:
            client.delete(bucket_key)
        case 3 | 4:
            client.hset(bucket_key, "balance_us", dice.randrange(-(10**6), 10**8))
            client.hset(bucket_key, "held_us", dice.randrange(0, 10**7))
        case 5 | 6 if client.exists(key):
            shift = dice.choice([-1, 1, 5, 40]) * dice.randrange(1, 10**7)
            for name in ("minted_at_us", "unanswered_at_us", "turn_until_us"):
                at_us = int(str(client.hget(key, name)))
                client.hset(key, name, max(0, at_us - shift) if at_us else 0)


def a_loan(books: Books | None, dice: random.Random) -> Loan | None:
    if books is None or dice.random() < 0.4:
        return None
    return Loan(
        dice.choice([Outcome.lent, Outcome.lent, Outcome.short, Outcome.absurd]),
        max(0, books.epoch + dice.choice([0, 0, 0, 1, 10**14, -1])),
        books.generation + dice.choice([0, 0, 0, 0, 1, -1]),
        books.received_us + dice.randrange(-(10**6), 10 ** dice.randrange(7, 10)),
        0,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_region_in_lua_keeps_its_books_as_its_twin_does(redis_server: RedisServer, seed: int) -> None:
    dice = random.Random(seed)
    link = link_to(redis_server)
    with redis_server.client() as client:
        keys = (link.names.bucket(WHO, Level.key), link.names.borrow(WHO, Level.key))
        server = client.info("server")["run_id"]
        for _ in range(STEPS):
            disturb_books(client, keys, dice)
            before, bucket = read_books(client, keys[1]), read_bucket(client, keys[0])
            step = Look(
                asker=dice.choice(["g1", "g2"]),
                turn_us=3 * MICRO,
                holding_us=dice.choice([10**6, 10**8, 10**12]),
                minting=dice.choice(MINTINGS),
                safe_per_s=dice.choice([0, 1, 5 * MICRO, MAX_RATE_PER_S]),
                away_after_us=dice.choice([0, 10**6]),
                loan=a_loan(before, dice),
                is_unanswered=dice.random() < 0.3,
                gives_back=dice.random() < 0.1,
                resets=dice.random() < 0.05,
            )
            ((seen, num_sessions),) = await script_calls.look(link, [((WHO, Level.key), step)])
            after = read_books(client, keys[1])
            assert after is not None
            now_us = after.turn_until_us - seen.turn_left_us
            expected: tuple[Books, Seen] = escrow_region.look(before, bucket, step, now_us=now_us, server=server)
            assert (asdict(after), seen) == (asdict(expected[0]), expected[1])
            stored = read_bucket(client, keys[0])
            assert (stored.balance_us, stored.held_us) == (bucket.balance_us, bucket.held_us)
            assert num_sessions == 0
    await link.aclose()


async def test_sessions_are_counted_while_their_leases_last(redis_server: RedisServer) -> None:
    link = link_to(redis_server)
    with redis_server.client() as client:
        client.zadd(link.names.leases(WHO, Level.org), {"gone": 1, "here": 2**50, "there": 2**50})
    step = Look("g1", MICRO, MICRO, MINTINGS[0], 0, MICRO)
    ((_, num_sessions),) = await script_calls.look(link, [((WHO, Level.org), step)])
    await link.aclose()
    assert num_sessions == 2


async def test_levels_of_one_call_keep_books_of_their_own(redis_server: RedisServer) -> None:
    link = link_to(redis_server)
    terms = Terms(Rate(MICRO, MICRO), MICRO, 0)
    levels = [(WHO, Level.key), (WHO, Level.project), (WHO, Level.org)]
    ask = Ask(0, 1, 1, 0, 0, 0, MICRO)
    asks = [(level, replace(ask, generation=place + 1), terms) for place, level in enumerate(levels)]
    loans = await script_calls.lend(link, "eu", asks)
    await link.aclose()
    assert [loan.generation for loan in loans] == [1, 2, 3]
