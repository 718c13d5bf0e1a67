"""A gateway that holds 500 places is killed: they come back within 16 s, none of them before its time.

Another gateway waits for them with sessions of its own, so that a place that came back early would be one too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import redis

from gateway.limits.calls import Close, Open, RefusedFor, Run, Status
from gateway.limits.script_codec import ScriptRules
from policies.plans import Level
from tests.harness.metered_gateway import GatewayOrder
from tests.harness.metered_world import NAMES, Nursery, is_there
from tests.harness.quota import ScriptedQuota
from tests.harness.usage import caller_plan, labels_of
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120), pytest.mark.alone]

PLACES = 500
TTL_MS, BACK_WITHIN_MS = 15_000, 16_000
BACK_ON_A_BUSY_MACHINE_MS = 30_000
"""The bound of the short form; `--long` asks for the promise."""
ORG = "acme"
LEASES = NAMES.leases(caller_plan(ORG).principal, Level.org)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.stop()


def gateway(name: str, server: RedisServer, folder: Path, *, opens_at_once: int) -> GatewayOrder:
    """It wants all places for ever."""
    return GatewayOrder(
        settings={"redis": {"urls": [server.url]}, "journal": {"directory": str(folder / name)}},
        witness=str(folder / f"{name}.witness"),
        log=str(folder / f"{name}.log"),
        orgs=(ORG,),
        sessions=PLACES,
        session_s=1e9,
        epoch_ms=0,
        max_sessions=PLACES,
        opens_at_once=opens_at_once,
    )


def look(client: redis.Redis) -> tuple[int, dict[str, int]]:
    """Redis's clock in ms, and until when each place is taken, in the same instant."""
    with client.pipeline(transaction=True) as pipe:
        pipe.time()
        pipe.zrange(LEASES, 0, -1, withscores=True)
        (seconds, micros), entries = pipe.execute()
    return seconds * 1_000 + micros // 1_000, {session: int(until_ms) for session, until_ms in entries}


async def test_places_of_a_killed_gateway_come_back_in_time_and_none_early(
    redis_server: RedisServer, nursery: Nursery, tmp_path: Path, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    within_ms = BACK_WITHIN_MS if is_long else BACK_ON_A_BUSY_MACHINE_MS
    client = redis_server.client()
    first = nursery.fork(gateway("first", redis_server, tmp_path, opens_at_once=32))
    await until(lambda: len(look(client)[1]) == PLACES, what="all places")
    second = nursery.fork(gateway("second", redis_server, tmp_path, opens_at_once=8))
    os.kill(first, signal.SIGKILL)
    await until(lambda: not is_there(first), what="the end of the first gateway")
    killed_at_ms, held = look(client)
    assert len(held) == PLACES
    assert all(killed_at_ms < until_ms <= killed_at_ms + TTL_MS for until_ms in held.values())

    back_after_ms = last_ms = 0
    while True:
        now_ms, places = look(client)
        assert now_ms - last_ms < 5_000 or not last_ms, "the test itself was too slow to see anything"
        last_ms = now_ms
        early = [session for session, until_ms in held.items() if now_ms < until_ms and session not in places]
        assert early == []
        assert all(places.get(session, until_ms) == until_ms for session, until_ms in held.items())
        taken = [session for session, until_ms in places.items() if until_ms > now_ms]
        assert len(taken) <= PLACES
        if not set(taken) & set(held) and not back_after_ms:
            back_after_ms = now_ms - killed_at_ms
        if len(set(taken) - set(held)) == PLACES:
            break
        assert now_ms < killed_at_ms + within_ms, f"{len(set(taken) - set(held))} places came back"
        await asyncio.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.kill(second, signal.SIGKILL)
    first_due_ms, last_due_ms = min(held.values()) - killed_at_ms, max(held.values()) - killed_at_ms
    with capsys.disabled():
        print(
            f"\n{PLACES} places of a killed gateway, due after {first_due_ms} to {last_due_ms} ms: "
            f"free after {back_after_ms} ms, all taken again after {now_ms - killed_at_ms} ms"
        )


def test_a_place_that_is_renewed_for_twelve_hours_never_lapses(redis_server: RedisServer) -> None:
    """Renewed after a third of its time, or only at the last moment; others try to get it all the time."""
    quota = ScriptedQuota(redis.Redis(port=redis_server.port), ScriptRules())
    plan = caller_plan(ORG)
    plan = replace(plan, org=replace(plan.org, max_sessions=1))
    mine, other = labels_of("mine", plan), labels_of("other", plan)
    opening = Open(mine, plan, 0, 0)
    now_us = 1_780_000_000_000_000
    end_us = now_us + 12 * 3_600 * 1_000_000
    (reply,) = quota.carry_out(ORG, [opening], now_us=now_us)
    assert reply.status is Status.ok
    turn = 0
    while now_us < end_us:
        turn += 1
        now_us += (TTL_MS - 1 if turn % 2 == 0 else TTL_MS // 3) * 1_000
        taking = Open(other, plan, 0, 0)
        sweeping = Close(mine, plan, is_swept=True)
        renewing = Run(mine, plan, (), 0, 0, renews_lease=True)
        replies = quota.carry_out(ORG, [taking, sweeping, renewing], now_us=now_us)
        assert [reply.status for reply in replies] == [Status.refused, Status.refused, Status.ok]
        assert replies[0].refused_for is RefusedFor.sessions
    now_us += TTL_MS * 1_000
    (reply,) = quota.carry_out(ORG, [Open(other, plan, 0, 0)], now_us=now_us)
    assert reply.status is Status.ok
