"""Clients of a real Redis: what fails says why and in time, and a server that may have lost data is noticed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from redis.exceptions import NoScriptError

from gateway.redis_link.client import RedisLink, reconnect_after_ms
from gateway.redis_link.errors import AwayReason, RedisAway
from gateway.redis_link.settings import RedisSettings
from tests.harness.moving_relay import relay_to
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration


CALL_TIMEOUT_S = 1.0


def link_to(url: str) -> RedisLink:
    return RedisLink(RedisSettings(urls=(SecretStr(url),), connect_timeout_ms=2_000, call_timeout_ms=1_000))


@pytest.fixture
async def link(redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    link = link_to(redis_server.url)
    await link.probe("acme")
    yield link
    await link.aclose()


async def why_not(link: RedisLink) -> AwayReason:
    with pytest.raises(RedisAway) as away:
        await link.ask(lambda redis: redis.set("a", 1))
    return away.value.why


async def test_a_killed_redis_is_unreachable_and_one_that_was_started_anew_may_have_lost_data(
    link: RedisLink, redis_server: RedisServer
) -> None:
    assert link.losses == 0
    redis_server.kill()
    assert await why_not(link) is AwayReason.unreachable
    redis_server.start()
    assert await link.ask(lambda redis: redis.get("a")) is None
    assert link.losses == 1


async def test_a_stalled_redis_costs_no_more_than_the_time_of_a_call(
    link: RedisLink, redis_server: RedisServer
) -> None:
    with redis_server.stalled():
        began_s = time.monotonic()
        assert await why_not(link) is AwayReason.timed_out
        assert 0.9 * CALL_TIMEOUT_S < time.monotonic() - began_s < 10 * CALL_TIMEOUT_S
    assert await link.ask(lambda redis: redis.set("b", b"its own answer"))
    # The late answer of the call that was given up is nobody else's.
    assert await link.ask(lambda redis: redis.get("b")) == b"its own answer"
    assert link.losses == 0


async def test_refusals_of_the_server_have_their_reasons(link: RedisLink, redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.config_set("maxmemory", 1)
        assert await why_not(link) is AwayReason.out_of_memory
        client.config_set("maxmemory", 0)
        client.replicaof("127.0.0.1", "1")
        assert await why_not(link) is AwayReason.read_only
        client.replicaof("NO", "ONE")
        await link.probe("acme")
        assert link.losses == 1  # it was somebody's replica meanwhile
        client.config_set("requirepass", "secret")
        await link.drop()
        assert await why_not(link) is AwayReason.refused


async def test_a_script_that_is_not_known_is_the_callers_to_bring(link: RedisLink) -> None:
    with pytest.raises(NoScriptError):
        await link.ask(lambda redis: redis.evalsha("a" * 40, 0))  # type: ignore[arg-type]


async def test_after_a_failover_the_name_is_resolved_anew(tmp_path: Path) -> None:
    first, second = RedisServer(tmp_path / "1").start(), RedisServer(tmp_path / "2").start()
    try:
        async with relay_to(first.port) as name:
            link = link_to(name.url)
            await link.probe("acme")
            await link.ask(lambda redis: redis.set("who", "first"))
            with first.client() as client:
                client.replicaof("127.0.0.1", "1")
            name.to_port = second.port  # what is connected stays so
            assert await why_not(link) is AwayReason.read_only
            assert await link.ask(lambda redis: redis.get("who")) is None
            assert link.losses == 1
            await link.aclose()
    finally:
        first.stop()
        second.stop()


async def test_a_new_connection_does_not_take_the_time_of_the_call(redis_server: RedisServer) -> None:
    async with relay_to(redis_server.port) as slow:
        slow.delay_s = 0.15
        link = link_to(slow.url)  # a call of 150 ms is allowed, two of them would not be
        assert await link.ask(lambda redis: redis.set("a", 1))
        await link.aclose()


async def test_many_calls_at_once_share_a_bounded_number_of_connections(
    link: RedisLink, redis_server: RedisServer
) -> None:
    await asyncio.gather(*(link.ask(lambda redis: redis.incr("n"), timeout_ms=5_000) for _ in range(300)))
    assert await link.ask(lambda redis: redis.get("n")) == b"300"
    with redis_server.client() as client:
        assert int(client.info("clients")["connected_clients"]) <= 34


async def test_a_call_that_had_no_turn_says_nothing_of_redis(link: RedisLink) -> None:
    never = asyncio.Event()
    busy = [asyncio.create_task(link.ask(lambda redis: never.wait(), timeout_ms=2_000)) for _ in range(32)]
    await asyncio.sleep(0)
    with pytest.raises(RedisAway) as away:
        await link.ask(lambda redis: redis.get("a"))
    assert (away.value.why, away.value.was_asked) == (AwayReason.timed_out, False)
    never.set()
    await asyncio.gather(*busy)
    await link.ask(lambda redis: redis.get("a"))


async def test_a_unix_socket_and_a_password_lead_to_redis_too(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    server = RedisServer(tmp_path / "redis", "--unixsocket", str(socket)).start()
    try:
        with server.client() as client:
            client.config_set("requirepass", "secret")
        link = link_to(f"unix://:secret@{socket}")
        await link.probe("acme")
        await link.aclose()
    finally:
        server.stop()


def test_attempts_to_come_back_grow_apart_and_stay_bounded() -> None:
    assert all(25 <= reconnect_after_ms(0) <= 50 for _ in range(50))
    assert all(2_500 <= reconnect_after_ms(attempt) <= 5_000 for attempt in (10, 100, 10_000))
    assert len({reconnect_after_ms(9) for _ in range(50)}) > 10
