"""A script reaches a Redis that does not know it, and is refused whole where it may not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from gateway.limits.calls import Open, Status
from gateway.limits.script_call import Script, quota_script, run_script, run_scripts
from gateway.limits.script_codec import ScriptRules, decode, encode
from policies.plans import LevelLimits, Principal
from tests.harness.quota import NAMES, caller_plan, tab_labels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(host="127.0.0.1", port=redis_server.port) as client:
        yield client


def opening(org: str = "acme") -> tuple[list[str], list[bytes]]:
    plan = caller_plan(org=LevelLimits(max_sessions=10), principal=Principal(org, "", ""))
    return encode(NAMES, org, [Open(tab_labels("s1", plan), plan, 1, 1)], ScriptRules())


async def test_a_flushed_and_a_restarted_redis_are_taught_the_script(client: Redis, redis_server: RedisServer) -> None:
    for _ in range(2):
        assert decode(await run_script(client, quota_script(), *opening()))[0].status is Status.ok
    await client.script_flush()
    assert decode(await run_script(client, quota_script(), *opening()))[0].status is Status.ok
    redis_server.restart()
    await client.connection_pool.disconnect()
    assert decode(await run_script(client, quota_script(), *opening()))[0].status is Status.ok
    assert await client.script_exists(quota_script().sha) == [True]


async def test_calls_of_several_orgs_share_a_round_trip_even_where_the_script_is_unknown(client: Redis) -> None:
    calls = [opening(f"org{number}") for number in range(5)]
    for _ in range(2):
        answers = await run_scripts(client, quota_script(), calls)
        assert [decode(answer)[0].status for answer in answers] == [Status.ok] * 5
    assert len(await client.keys("test:{org*}:tab:s1")) == 5


async def test_one_failing_call_leaves_the_others_of_its_round_trip_alone(client: Redis) -> None:
    await client.set("test:{bad}:leases:o", "not a set")
    answers = await run_scripts(client, quota_script(), [opening("good"), opening("bad"), opening("well")])
    assert isinstance(answers[1], Exception)
    assert [decode(answers[place])[0].status for place in (0, 2)] == [Status.ok] * 2


async def test_without_memory_nothing_at_all_is_written(client: Redis) -> None:
    await run_script(client, quota_script(), *opening("before"))
    known = await client.dbsize()
    await client.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        await run_script(client, quota_script(), *opening())
    (answer,) = await run_scripts(client, quota_script(), [opening()])
    assert isinstance(answer, OutOfMemoryError)
    assert await client.dbsize() == known
    await client.config_set("maxmemory", 0)
    assert decode(await run_script(client, quota_script(), *opening()))[0].status is Status.ok


async def test_a_replica_refuses_the_whole_script(client: Redis) -> None:
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(ReadOnlyError):
        await run_script(client, quota_script(), *opening())
    assert await client.dbsize() == 0
    await client.execute_command("REPLICAOF", "NO", "ONE")
    assert decode(await run_script(client, quota_script(), *opening()))[0].status is Status.ok


def test_a_script_is_known_by_the_digest_of_its_text() -> None:
    assert Script.of("return 1").sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
