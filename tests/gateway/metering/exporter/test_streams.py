"""The meter streams as consumer groups, on one Redis and on a cluster of three nodes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.metering.exporter.sent_log import Source
from gateway.metering.exporter.streams import MeterStreams
from gateway.metering.stream_entries import encode_event
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from tests.harness.exporter import NAMES, usage_event
from tests.harness.redis_cluster import RedisTestCluster
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

ORGS = [f"org{number}" for number in range(12)]


@contextlib.asynccontextmanager
async def linked(*urls: str) -> AsyncIterator[RedisLink]:
    settings = RedisSettings(
        urls=tuple(SecretStr(url) for url in urls), is_cluster=len(urls) > 1, call_timeout_ms=5_000
    )
    link = RedisLink(settings)
    try:
        yield link
    finally:
        await link.aclose()


def streams(link: RedisLink, consumer: str, *groups: str, is_cluster: bool = False) -> MeterStreams:
    return MeterStreams(link, groups=groups or ("g",), consumer=consumer, is_cluster=is_cluster)


async def write(link: RedisLink, *orgs: str, count: int = 1) -> None:
    for number in range(count):
        for org in orgs:
            fields = encode_event(usage_event(org, number))
            await link.ask(lambda redis, org=org, fields=fields: redis.sadd(NAMES.orgs, org))  # type: ignore[misc]
            await link.ask(lambda redis, org=org, fields=fields: redis.xadd(NAMES.meter(org), fields))  # type: ignore[misc]


async def check_all(link: RedisLink, *, is_cluster: bool) -> None:
    """Reading, acknowledging, looking and trimming over many orgs."""
    await write(link, *ORGS, count=3)
    ours = streams(link, "me", is_cluster=is_cluster)
    assert await ours.orgs() == sorted(ORGS)
    await ours.make_groups(ORGS)
    await ours.make_groups(ORGS)
    entries, lost = await ours.read("g", ORGS, limit=24)
    assert lost == []
    assert len(entries) == 24, "two of each org"
    assert {source.org for source, _fields in entries} == set(ORGS)
    await ours.acknowledge("g", [source for source, _fields in entries if source.org != "org0"])
    states = await ours.look(ORGS, dead_after_ms=1_000)
    assert {(state.groups["g"].pending, state.groups["g"].lag) for org, state in states.items() if org != "org0"} == {
        (0, 1)
    }
    assert (states["org0"].groups["g"].pending, states["org0"].groups["g"].lag) == (2, 1)
    assert await ours.trim(states) == 2 * 11
    assert await ours.trim(states) == 0
    await ours.heartbeat(ORGS)
    rest, _lost = await ours.read("g", ORGS, limit=12)
    assert len(rest) == 12, "a heartbeat reads nothing"


async def test_many_orgs_are_read_at_once_and_trimmed_below_what_is_acknowledged(redis_server: RedisServer) -> None:
    async with linked(redis_server.url) as link:
        await check_all(link, is_cluster=False)


async def test_the_orgs_of_a_cluster_are_read_from_all_its_nodes(tmp_path: Path) -> None:
    cluster = RedisTestCluster(tmp_path)
    try:
        cluster.start()
        async with linked(*cluster.urls) as link:
            await check_all(link, is_cluster=True)
    finally:
        cluster.stop()


async def test_only_what_a_silent_consumer_holds_is_taken_over(redis_server: RedisServer) -> None:
    async with linked(redis_server.url) as link:
        await write(link, "acme", count=3)
        dead, waiting, ours = (streams(link, name) for name in ("dead", "waiting", "me"))
        await ours.make_groups(["acme"])
        ((held, _fields),), _lost = await dead.read("g", ["acme"], limit=1)
        await waiting.read("g", ["acme"], limit=1)
        with redis_server.client() as client:
            await until(lambda: all(one["idle"] > 1_500 for one in client.xinfo_consumers(NAMES.meter("acme"), "g")))
        await waiting.heartbeat(["acme"])
        states = await ours.look(["acme"], dead_after_ms=1_500)
        assert states["acme"].dead == {"g": [b"dead"]}, "the other one waits for its receiver"
        ((taken, fields),) = await ours.take_over("g", "acme", b"dead", limit=10, after=b"0-0")
        assert (taken, fields[b"first"]) == (held, b"0")
        assert await ours.take_over("g", "acme", b"dead", limit=10, after=b"0-0") == []
        await ours.forget("g", "acme", b"dead")
        assert b"dead" not in {
            one["name"] for one in await link.ask(lambda r: r.xinfo_consumers(NAMES.meter("acme"), "g"))
        }


async def test_what_any_group_still_needs_is_not_trimmed(redis_server: RedisServer) -> None:
    async with linked(redis_server.url) as link:
        await write(link, "acme", count=5)
        ours = streams(link, "me", "g", "other")
        await ours.make_groups(["acme"])
        entries, _lost = await ours.read("g", ["acme"], limit=5)
        await ours.acknowledge("g", [source for source, _fields in entries])
        assert await ours.trim(await ours.look(["acme"], dead_after_ms=1_000)) == 0
        entries, _lost = await ours.read("other", ["acme"], limit=3)
        await ours.acknowledge("other", [entries[0][0], entries[2][0]])
        assert await ours.trim(await ours.look(["acme"], dead_after_ms=1_000)) == 1
        more = streams(link, "me", "g", "other", "new")
        assert await more.trim(await more.look(["acme"], dead_after_ms=1_000)) == 0, "a sink has not begun"


async def test_a_group_that_redis_lost_is_told_and_the_other_orgs_are_read(redis_server: RedisServer) -> None:
    async with linked(redis_server.url) as link:
        await write(link, "acme", "umbra")
        ours = streams(link, "me")
        await ours.make_groups(["acme", "umbra"])
        with redis_server.client() as client:
            client.xgroup_destroy(NAMES.meter("acme"), "g")
        entries, lost = await ours.read("g", ["acme", "umbra"], limit=10)
        assert lost == ["acme"]
        assert [source.org for source, _fields in entries] == ["umbra"]
        assert await ours.look(["nobody"], dead_after_ms=1) == {}
        await ours.acknowledge("g", [Source("nobody", b"1-0")])
