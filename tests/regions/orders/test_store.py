"""Orders in a real Redis: one change at a time, the later one wins, silent gateways are forgotten."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from policies.orders import Orders
from regions.orders.errors import OrdersMalformed, StoreAway
from regions.orders.reports import GatewayReport, OrderProgress
from regions.orders.store import OrderNames, OrderStore, version_text
from tests.regions.orders.test_codec import ORDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

ONE, OTHER = Orders(7, (ORDER,)), Orders(8, ())
SAYS_NOTHING = GatewayReport()


def store_at(url: str, region: str = "north") -> OrderStore:
    """Each call makes a connection of its own, as a gateway's may have to."""

    async def ask(call: Callable[[Redis], Awaitable[Any]]) -> Any:
        redis = Redis.from_url(url, socket_connect_timeout=20, retry=Retry(NoBackoff(), 0), protocol=2)
        try:
            async with asyncio.timeout(60):
                return await call(redis)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreAway(type(error).__name__) from error
        finally:
            await redis.aclose()

    return OrderStore(ask, OrderNames("patchbay", region))


async def test_a_change_is_made_only_where_what_was_known_is_in_force(redis_server: RedisServer) -> None:
    store = store_at(redis_server.url)
    assert (await store.change(ONE, known_version="")).is_written
    refused = await store.change(OTHER, known_version="")
    assert (refused.is_written, refused.version, refused.orders) == (False, version_text(ONE), ONE)
    assert (await store.change(OTHER, known_version=version_text(ONE))).is_written
    assert (await store.look("", gateway="a", report=SAYS_NOTHING)).orders == OTHER


async def test_what_is_known_is_not_told_again(redis_server: RedisServer) -> None:
    store = store_at(redis_server.url)
    await store.change(ONE, known_version="")
    assert (await store.look(version_text(ONE), gateway="a", report=SAYS_NOTHING)).orders is None
    empty = await store_at(redis_server.url, "east").look("?", gateway="a", report=SAYS_NOTHING)
    assert (empty.version, empty.orders) == ("", None)


async def test_only_what_is_later_is_restored(redis_server: RedisServer) -> None:
    store = store_at(redis_server.url)
    assert (await store.restore(ONE)).is_written
    assert not (await store.restore(ONE)).is_written
    assert (await store.restore(OTHER)).is_written
    refused = await store.restore(ONE)
    assert (refused.is_written, refused.orders) == (False, OTHER)


async def test_of_one_revision_the_same_one_stays_whoever_came_first(redis_server: RedisServer) -> None:
    others = Orders(ONE.revision, ())
    for first, second in ((ONE, others), (others, ONE)):
        region = uuid.uuid4().hex[:8]
        store = store_at(redis_server.url, region)
        await store.restore(first)
        await store.restore(second)
        held = (await store.look("", gateway="a", report=SAYS_NOTHING)).orders
        assert held == max(ONE, others, key=version_text)


async def test_gateways_hear_each_other_and_the_question(redis_server: RedisServer) -> None:
    store = store_at(redis_server.url)
    report = GatewayReport(progress=(OrderProgress(order_id="a", total=3),))
    await store.look("", gateway="a", report=report)
    assert await store.ask("q1") == "q1"
    assert await store.ask("q2") == "q1", "what another one asked stands until it was answered"
    assert (await store.look("", gateway="b", report=SAYS_NOTHING)).question == "q1"
    assert await store.hear() == {"a": report, "b": SAYS_NOTHING}
    await store.leave("a")
    assert set(await store.hear()) == {"b"}


async def test_a_gateway_that_is_silent_is_forgotten(redis_server: RedisServer) -> None:
    store = store_at(redis_server.url)
    await store.look("", gateway="a", report=SAYS_NOTHING)
    with redis_server.client() as client:
        client.zadd("patchbay:orders:{north}:seen", {"a": 1})
    assert await store.hear() == {}


async def test_strangers_bytes_are_malformed_and_a_report_of_theirs_is_left_out(redis_server: RedisServer) -> None:
    store = store_at(redis_server.url)
    await store.look("", gateway="a", report=SAYS_NOTHING)
    with redis_server.client() as client:
        client.hset("patchbay:orders:{north}:book", mapping={"revision": 9, "digest": "x", "document": "no"})
    with pytest.raises(OrdersMalformed):
        await store.look("", gateway="a", report=SAYS_NOTHING)
    with redis_server.client() as client:
        client.hset("patchbay:orders:{north}:reports", "a", "no")
    assert await store.hear() == {}


async def test_a_redis_that_is_away_is_told_as_such(redis_server: RedisServer) -> None:
    redis_server.kill()
    with pytest.raises(StoreAway):
        await store_at(redis_server.url).hear()
