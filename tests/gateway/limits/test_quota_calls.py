"""Calls for several orgs: each has its own outcome, and its name is written before anything else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.limits.calls import Open, Reply, Run, Status
from gateway.limits.metrics import LimiterMetrics
from gateway.limits.quota_calls import QuotaCalls
from gateway.limits.script_call import Script
from gateway.limits.script_codec import ScriptRules
from gateway.metering.entries import TabLabels
from gateway.redis_link.client import RedisLink
from gateway.redis_link.errors import AwayReason, RedisAway
from gateway.redis_link.settings import RedisSettings
from tests.harness.limited_gateway import plan_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


def opening(session_id: str, org: str) -> Open:
    plan = plan_of(org)
    labels = TabLabels(session_id, org, "speech", plan.principal.key, "p", "audio_second", "0123456789ab", "here")
    return Open(labels, plan, 1_000, 1_000)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def link(redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(RedisSettings(urls=(SecretStr(redis_server.url),)))
    await link.probe("probe")
    yield link
    await link.aclose()


async def test_one_org_that_fails_leaves_the_others_alone(
    link: RedisLink, registry: CollectorRegistry, redis_server: RedisServer
) -> None:
    calls = QuotaCalls(link, ScriptRules(), LimiterMetrics(registry))
    with redis_server.client() as client:
        client.set("patchbay:{bad}:leases:o", "not what it should be")
        good, bad = await calls.many([("good", [opening("a", "good")] * 2), ("bad", [opening("b", "bad")])])
        assert isinstance(good, list)
        assert [reply.status for reply in good] == [Status.ok, Status.ok]
        assert isinstance(bad, RedisAway)
        assert bad.why is AwayReason.broken
        assert client.smembers("patchbay:orgs") == {"good", "bad"}
    assert registry.get_sample_value("patchbay_limiter_requests_total", {"kind": "open"}) == 3
    assert registry.get_sample_value("patchbay_limiter_calls_total") == 1


async def test_orgs_are_registered_again_with_a_redis_that_may_have_lost_them(
    link: RedisLink, registry: CollectorRegistry, redis_server: RedisServer
) -> None:
    calls = QuotaCalls(link, ScriptRules(), LimiterMetrics(registry))
    (reply,) = await calls.one("acme", [opening("a", "acme")])
    assert isinstance(reply, Reply)
    redis_server.restart_empty()
    with pytest.raises(RedisAway):
        await calls.one("acme", [opening("a", "acme")])
    await link.probe("acme")
    await calls.one("acme", [opening("a", "acme")])
    with redis_server.client() as client:
        assert client.smembers("patchbay:orgs") == {"acme"}


async def test_an_org_is_registered_again_where_its_tabs_are_gone_though_the_server_is_the_same(
    link: RedisLink, registry: CollectorRegistry, redis_server: RedisServer
) -> None:
    calls = QuotaCalls(link, ScriptRules(), LimiterMetrics(registry))
    open_ = opening("a", "acme")
    run = Run(open_.labels, open_.plan, (), 0, 0, renews_lease=True)
    await calls.one("acme", [open_])
    with redis_server.client() as client:
        client.flushall()
        assert [reply.status for reply in await calls.one("acme", [run])] == [Status.unknown_tab]
        await calls.one("acme", [opening("b", "acme")])
        assert client.smembers("patchbay:orgs") == {"acme"}
        client.flushall()
        await calls.many([("acme", [run])])
        await calls.many([("acme", [opening("c", "acme")])])
        assert client.smembers("patchbay:orgs") == {"acme"}


async def test_an_answer_that_no_script_of_ours_gives_is_no_reply(link: RedisLink) -> None:
    for text in ("return {}", "return {99, 0, 0}", "return 'no'"):
        calls = QuotaCalls(link, ScriptRules(), LimiterMetrics(CollectorRegistry()), script=Script.of(text))
        with pytest.raises(RedisAway) as away:
            await calls.one("acme", [opening("a", "acme")])
        assert away.value.why is AwayReason.broken
