"""Following revocations: what is known stays in force, what is new ends sessions, what Redis lost is given back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.metrics import AdmissionMetrics
from gateway.admission.revocation_feed import RevocationFeed
from gateway.admission.revocation_log import BEGINNING, RevocationLog
from gateway.admission.revocations import Revocation, Undone, tenant_scope
from gateway.admission.settings import RevocationSettings
from gateway.errors import AuthenticationFailed, Reason, Unavailable
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from policies.facts import Caller, TokenIdentity
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

NOW_S = 2_000_000_000


def caller(tenant: str = "acme") -> Caller:
    return Caller(tenant, "", "", "", frozenset(), "", 0, TokenIdentity("i", "", NOW_S))


def revocation(tenant: str, until_s: int = NOW_S + 60) -> Revocation:
    return Revocation(f"of-{tenant}", tenant_scope(tenant), NOW_S, until_s, NOW_S)


class Gateway:
    """A feed with a clock of its own, and the sessions that it would end."""

    def __init__(self, redis_server: RedisServer, *sessions: Caller, **settings: Any) -> None:
        self.link = RedisLink(RedisSettings.model_validate({"urls": [redis_server.url], "call_timeout_ms": 2_000}))
        self.records = RevocationLog(self.link, max_life_s=3_600, max_entries=100)
        self.registry = CollectorRegistry()
        self.sessions = list(sessions)
        self.now_s = NOW_S
        self.monotonic_s = 0.0
        self.feed = RevocationFeed(
            self.records,
            RevocationSettings(**settings),
            AdmissionMetrics(self.registry),
            self._end_those_of,
            now_s=lambda: self.now_s,
            monotonic_s=lambda: self.monotonic_s,
        )

    def _end_those_of(self, is_meant: Callable[[Caller], bool]) -> int:
        before = len(self.sessions)
        self.sessions = [session for session in self.sessions if not is_meant(session)]
        return before - len(self.sessions)

    def reason(self, of: Caller) -> Reason | None:
        try:
            self.feed.check(of)
        except (AuthenticationFailed, Unavailable) as refusal:
            return refusal.reason
        return None

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)


@pytest.fixture
async def gateway(redis_server: RedisServer) -> AsyncIterator[Gateway]:
    gateway = Gateway(redis_server, caller("acme"), caller("other"))
    yield gateway
    await gateway.link.aclose()


async def test_a_revocation_refuses_new_sessions_and_ends_running_ones(gateway: Gateway) -> None:
    await gateway.feed.poll()
    assert gateway.reason(caller()) is None
    await gateway.records.append([revocation("acme")])
    await gateway.feed.poll()
    assert gateway.reason(caller()) is Reason.token_revoked
    assert gateway.sessions == [caller("other")]
    assert gateway.metric("patchbay_revocations") == 1


async def test_what_is_undone_is_good_again(gateway: Gateway) -> None:
    await gateway.records.append([revocation("acme")])
    await gateway.feed.poll()
    await gateway.records.append([Undone("of-acme", NOW_S + 60)])
    await gateway.feed.poll()
    assert gateway.reason(caller()) is None


async def test_what_was_known_stays_in_force_while_redis_is_away_and_ends_by_itself(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    await gateway.records.append([revocation("acme", until_s=NOW_S + 60)])
    await gateway.feed.poll()
    redis_server.kill()
    gateway.monotonic_s = 30.0
    await gateway.feed.poll()
    assert gateway.reason(caller()) is Reason.token_revoked
    assert gateway.reason(caller("other")) is None
    assert gateway.metric("patchbay_revocations_age_seconds") == 30.0
    gateway.now_s = NOW_S + 60
    await gateway.feed.poll()
    assert gateway.reason(caller()) is None


async def test_where_the_settings_say_so_old_knowledge_admits_nobody(redis_server: RedisServer) -> None:
    gateway = Gateway(redis_server, max_age_s=5)
    assert gateway.reason(caller()) is Reason.revocations_unavailable
    await gateway.feed.poll()
    assert gateway.reason(caller()) is None
    gateway.monotonic_s = 5.1
    assert gateway.reason(caller()) is Reason.revocations_unavailable
    await gateway.feed.poll()
    assert gateway.reason(caller()) is None
    await gateway.link.aclose()


async def test_a_redis_that_comes_back_empty_is_given_back_what_gateways_know(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    await gateway.records.append([revocation("acme"), revocation("b"), Undone("of-b", NOW_S + 60)])
    await gateway.feed.poll()
    redis_server.restart_empty()
    await until_given_back(gateway)
    fresh = Gateway(redis_server)
    await fresh.feed.poll()
    assert fresh.reason(caller()) is Reason.token_revoked
    assert fresh.reason(caller("b")) is None
    await fresh.link.aclose()


async def until_given_back(gateway: Gateway) -> None:
    """What stands, and what was undone: the other's revocation is of no use any more."""
    async with asyncio.timeout(60):
        while True:
            await gateway.feed.poll()
            if not gateway.feed._has_to_make_up and len((await gateway.records.after(BEGINNING)).news) == 2:
                return


async def test_gateways_that_know_different_things_give_them_all_back(redis_server: RedisServer) -> None:
    """The second knows one that the first never heard of; the first is quicker to restore."""
    first, second = Gateway(redis_server), Gateway(redis_server)
    await first.records.append([revocation("a")])
    await first.feed.poll()
    await first.records.append([revocation("b")])
    await second.feed.poll()
    redis_server.restart_empty()
    await first.feed.poll()
    with redis_server.client() as client:
        client.delete("patchbay:revocations:restorer")
    await second.link.drop()
    await second.feed.poll()
    await first.feed.poll()
    assert first.reason(caller("b")) is Reason.token_revoked
    for gateway in (first, second):
        await gateway.link.aclose()


async def test_it_follows_by_itself(redis_server: RedisServer) -> None:
    gateway = Gateway(redis_server, caller("acme"), caller("other"), poll_interval_ms=50)
    following = asyncio.create_task(gateway.feed.run())
    await gateway.records.append([revocation("acme")])
    await until(lambda: gateway.sessions == [caller("other")])
    following.cancel()
    await gateway.link.aclose()
