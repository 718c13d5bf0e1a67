"""The limits of plans on a real Redis, as sessions and callers meet them."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import QuotaRefused, Reason, Unavailable
from gateway.limits.calls import RefusedFor
from gateway.limits.limiter import refusal_of
from gateway.limits.tabs import Tab
from gateway.metering.journal import FileJournal
from gateway.metering.settings import JournalSettings
from policies.plans import MICRO, Level, WhenLimiterAway
from tests.harness.limited_gateway import (
    LimitedGateway,
    SpendingSession,
    bill_in,
    limited,
    plan_of,
    running,
    settings_of,
)
from tests.harness.moving_relay import relay_to
from tests.harness.waiting import DEADLINE_S, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.metering.entries import UsageEvent
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def gateway(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[LimitedGateway]:
    async with running(settings_of(redis_server.url, tmp_path / "journal")) as gateway:
        yield gateway


async def refusal_from(gateway: LimitedGateway, plan: Any) -> QuotaRefused:
    with pytest.raises(QuotaRefused) as refused:
        await gateway.open(plan)
    return refused.value


async def test_a_session_begins_with_credit_that_was_debited_before(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    session = await gateway.open(plan_of(org_limits=limited(per_s=1, burst=10)))
    assert session.granted_us == 100_000
    with redis_server.client() as client:
        assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "100000"
    assert session.news[0].level is Level.org


async def test_a_plan_without_limits_of_compute_is_billed_and_never_asked(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    session = await gateway.open(plan_of(org_limits=limited(max_sessions=5)))
    assert session.is_unlimited
    session.spend(5 * MICRO)
    session.tab.release()
    await until(lambda: gateway.num_tabs == 0)
    assert bill_in(redis_server) == (5 * MICRO,) * 3


async def test_the_narrowest_level_that_refuses_is_named_with_what_it_allows(gateway: LimitedGateway) -> None:
    one_a_key = plan_of(key_limits=limited(max_sessions=1), org_limits=limited(max_sessions=1))
    await gateway.open(one_a_key)
    refused = await refusal_from(gateway, one_a_key)
    assert (refused.reason, refused.level, refused.remaining, refused.limit) == (
        Reason.concurrency_limit,
        Level.key,
        0,
        1,
    )
    assert refused.retry_after_ms == 1_000
    assert "the key has 1 sessions open" in refused.detail
    assert gateway.figure("patchbay_limiter_refusals_total", limit="sessions", level="key") == 1


async def test_starts_and_compute_are_refused_with_a_time_to_come_back(gateway: LimitedGateway) -> None:
    two_a_second = plan_of("starts", org_limits=limited(starts_per_s=2))
    for _ in range(2):
        await gateway.open(two_a_second)
    refused = await refusal_from(gateway, two_a_second)
    assert (refused.reason, refused.limit) == (Reason.start_rate_limit, 2)
    assert 0 < refused.retry_after_ms <= 500

    dear = plan_of("dear", org_limits=limited(per_s=0.01, burst=0.1))
    session = await gateway.open(dear)
    assert session.spend(100_000)
    refused = await refusal_from(gateway, dear)
    assert (refused.reason, refused.level, refused.limit) == (Reason.quota_exhausted, Level.org, 100_000)
    assert 500 < refused.retry_after_ms <= 1_000  # the least opening: 10,000 µs at 10,000 a second


async def test_a_limit_in_shadow_is_counted_and_refuses_nobody(gateway: LimitedGateway) -> None:
    shadow = plan_of(org_limits=limited(max_sessions=1, is_shadow=True))
    for _ in range(3):
        await gateway.open(shadow)
    assert gateway.figure("patchbay_limiter_shadow_refusals_total", limit="sessions", level="org") == 2


async def test_sessions_together_spend_no_more_than_burst_and_rate_and_share_it_alike(gateway: LimitedGateway) -> None:
    """Four sessions that would each spend all that there is."""
    plan = plan_of(org_limits=limited(per_s=0.5, burst=0.4))
    began_s = time.monotonic()
    sessions = [await gateway.open(plan) for _ in range(4)]
    elapsed_s = 0.0

    def has_been_told_to_wait() -> bool:
        return any(update.retry_after_ms is not None for session in sessions for update in session.news)

    while elapsed_s < 1.5 or (elapsed_s < DEADLINE_S and not has_been_told_to_wait()):
        await asyncio.sleep(0.01)
        elapsed_s = time.monotonic() - began_s
        for _ in range(4):  # more than comes in, also where turns are as long as on a busy machine
            for session in sessions:
                session.spend(5_000)
    used_us = [session.compute_us for session in sessions]
    assert sum(used_us) <= 0.4 * MICRO + 0.5 * MICRO * elapsed_s
    assert sum(used_us) >= 0.9 * (0.5 * MICRO * elapsed_s)
    assert min(used_us) > max(used_us) / 3
    assert has_been_told_to_wait()


async def test_changed_plans_hold_for_live_sessions(gateway: LimitedGateway) -> None:
    session = await gateway.open(plan_of(org_limits=limited(per_s=100, burst=100)))
    gateway.plans.plan = plan_of(org_limits=limited(per_s=0.001, burst=0.01))
    gateway.plans.version += 1
    while session.spend(10_000):
        await asyncio.sleep(0.005)
    assert session.compute_us < 400_000
    gateway.plans.plan = plan_of(org_limits=limited(max_sessions=1))
    gateway.plans.version += 1
    await until(lambda: session.is_unlimited)


async def test_what_was_used_up_to_the_release_is_settled_and_what_was_not_comes_back(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    session = await gateway.open(plan_of())
    session.spend(1_234)
    session.tab.release()
    session.tab.release()
    await until(lambda: gateway.num_tabs == 0)
    with redis_server.client() as client:
        assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "0"
        assert client.zcard("patchbay:{acme}:leases:o") == 0
    assert bill_in(redis_server) == (1_234,) * 3


async def test_a_caller_who_leaves_while_redis_is_asked_keeps_no_place(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with (
        relay_to(redis_server.port) as slow,
        running(settings_of(slow.url, tmp_path / "journal")) as gateway,
    ):
        await gateway.open(plan_of())
        slow.delay_s = 0.1
        opening = asyncio.create_task(gateway.limits.acquire(plan_of(), session_id="impatient"))
        with redis_server.client() as client:
            await until(lambda: client.zscore("patchbay:{acme}:leases:o", "impatient") is not None)
            opening.cancel()
            await until(lambda: client.zscore("patchbay:{acme}:leases:o", "impatient") is None)
        assert opening.cancelled()


async def test_while_redis_cannot_be_found_at_start_plans_say_who_is_admitted(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.kill()
    async with running(settings_of(redis_server.url, tmp_path / "journal")) as gateway:
        await until(lambda: gateway.limits.is_away)
        for _ in range(3):
            with pytest.raises(Unavailable) as refused:
                await gateway.open(plan_of(away=WhenLimiterAway.closed))
            assert refused.value.reason is Reason.limiter_unavailable
        assert gateway.num_tabs == 0  # nothing is kept of who was refused without asking
        session = await gateway.open(plan_of(away=WhenLimiterAway.open))
        assert session.is_unlimited
        session.spend(50_000)
        redis_server.start()
        await until(lambda: not session.is_unlimited, what="Redis")
        assert session.granted_us is not None
        assert session.granted_us >= 50_000
        assert gateway.figure("patchbay_limiter_admitted_away_total", mode="open") == 1
        assert gateway.figure("patchbay_limiter_away_seconds_total") > 0


async def test_sessions_of_a_gateway_that_died_are_swept_by_another_and_billed(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with running(settings_of(redis_server.url, tmp_path / "other")) as other:
        dead = LimitedGateway(settings_of(redis_server.url, tmp_path / "dead"))
        tasks = [asyncio.create_task(dead.journal.run()), asyncio.create_task(dead.limits.run())]
        session = await dead.open(plan_of())
        session.spend(40_000)
        with redis_server.client() as client:
            await until(lambda: bill_in(redis_server)[0] == 40_000)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            ((_, lasts_until_ms),) = client.zrange("patchbay:{acme}:leases:o", 0, -1, withscores=True)
            await until(lambda: client.zcard("patchbay:{acme}:leases:o") == 0, what="its place")
            seconds, microseconds = client.time()
            assert seconds * 1_000 + microseconds / 1_000 > lasts_until_ms, "not before its lease ran out"
            assert bill_in(redis_server) == (40_000,) * 3
            assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "0"
        await until(lambda: other.figure("patchbay_limiter_swept_total") == 1)
        await dead.journal.close()
        await dead.link.aclose()


async def test_nothing_is_swept_before_redis_was_given_again_what_it_may_lack(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep would bill a session whose end Redis lost up to where it knows it, under an id of its own."""
    may_read = threading.Event()
    asked_since_s: set[int] = set()

    def recent_events(_journal: FileJournal, *, since_ms: int) -> Iterator[UsageEvent]:
        asked_since_s.add(since_ms // 1_000)
        may_read.wait(10)
        yield from ()

    monkeypatch.setattr(FileJournal, "recent_events", recent_events)
    settings = settings_of(redis_server.url, tmp_path / "journal", sweep_interval_ms=50)
    with redis_server.client() as client:
        client.sadd("patchbay:orgs", "acme")
        client.zadd("patchbay:{acme}:leases:o", {"lost": 1})
        async with running(settings) as gateway:
            await until(lambda: gateway.figure("patchbay_limiter_resyncs_total") == 1)
            await asyncio.sleep(0.3)
            assert client.zcard("patchbay:{acme}:leases:o") == 1
            may_read.set()
            await until(lambda: client.zcard("patchbay:{acme}:leases:o") == 0)
    a_day_ago_s = int(time.time()) - 86_400
    assert all(a_day_ago_s - 60 <= since_s <= a_day_ago_s for since_s in asked_since_s)  # older: retention_s is over


async def test_an_org_whose_keys_are_broken_is_alone_with_it(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    good, bad = await gateway.open(plan_of("good")), await gateway.open(plan_of("bad"))
    leases = "patchbay:{bad}:leases:o"
    with redis_server.client() as client:
        client.delete(leases)
        client.set(leases, "not what it should be")
        bad.spend(50_000)
        await until(lambda: bad.is_unlimited)
        assert (await gateway.open(plan_of("bad", away=WhenLimiterAway.open))).is_unlimited
        num_tabs = gateway.num_tabs
        for _ in range(3):
            with pytest.raises(Unavailable):
                await gateway.open(plan_of("bad", away=WhenLimiterAway.closed))
        assert gateway.num_tabs == num_tabs
        failures = gateway.figure("patchbay_limiter_failures_total", reason="broken")
        await until(lambda: gateway.figure("patchbay_limiter_failures_total", reason="broken") > failures + 3)
        assert not any(update.granted_us is None for update in good.news)
        assert gateway.figure("patchbay_limiter_away_seconds_total") == 0
        client.zadd("patchbay:{good}:leases:o", {"lost": 1})
        await until(lambda: client.zscore("patchbay:{good}:leases:o", "lost") is None, what="the sweep")
        client.delete(leases)
        await until(lambda: not bad.is_unlimited)
    await until(lambda: bill_in(redis_server, "bad")[0] == 50_000)


async def test_what_a_process_left_is_settled_by_the_next_one_with_its_journal(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = settings_of(redis_server.url, tmp_path / "journal", lease_ttl_ms=60_000)
    dead = LimitedGateway(settings)
    tasks = [asyncio.create_task(dead.journal.run()), asyncio.create_task(dead.limits.run())]
    session = await dead.open(plan_of())
    for _ in range(20):
        session.spend(3_000)
        await asyncio.sleep(0.01)
    redis_server.kill()
    session.spend(3_000)
    await until(lambda: session.tab.compute_us == session.compute_us, what="the slice")
    await dead.journal.committed()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await dead.journal.close()
    await dead.link.aclose()
    redis_server.start()
    async with running(settings) as heir:
        await until(lambda: bill_in(redis_server)[1] == session.compute_us, what="the settlement")
        await until(lambda: heir.num_tabs == 0)
        with redis_server.client() as client:
            assert client.zcard("patchbay:{acme}:leases:o") == 0
        assert bill_in(redis_server) == (session.compute_us,) * 3


async def test_what_a_session_asked_for_is_told_again_where_redis_may_have_lost_it(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    tab = await gateway.limits.acquire(plan_of(), session_id="s1")
    assert isinstance(tab, Tab)
    with redis_server.client() as client:
        key = "patchbay:{acme}:tab:s1"
        told_before = client.hget(key, "labels")
        tab.attach(SpendingSession(tab), add_ons=("numerals",))
        await until(lambda: "numerals" in client.hget(key, "labels"))
        client.hset(key, "labels", told_before)
        gateway.link.on_loss()
        await until(lambda: "numerals" in client.hget(key, "labels"))


async def test_redis_knows_tabs_for_longer_than_the_journal_gives_their_events_again(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    days_s = 10 * 86_400
    journal = JournalSettings(directory=tmp_path / "journal", retention_s=days_s)
    async with running(settings_of(redis_server.url, tmp_path, journal=journal)) as gateway:
        session = await gateway.open(plan_of())
        with redis_server.client() as client:
            assert client.ttl(f"patchbay:{{acme}}:tab:{session.tab.session_id}") > days_s + 86_400


async def test_the_end_of_a_process_settles_what_is_open_within_its_time(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = settings_of(redis_server.url, tmp_path / "journal", tick_ms=60, close_timeout_ms=400)
    async with running(settings) as gateway:
        session = await gateway.open(plan_of())
        session.spend(4_321)
        session.tab.release()
    assert bill_in(redis_server) == (4_321,) * 3

    async with running(settings) as gateway:
        session = await gateway.open(plan_of())
        session.spend(99)
        with redis_server.stalled():
            session.tab.release()
            began_s = time.monotonic()
            await gateway.limits.close()
            assert time.monotonic() - began_s < 10


async def test_audio_never_waits_for_a_redis_that_takes_300_ms(redis_server: RedisServer, tmp_path: Path) -> None:
    """Credit runs ahead: every spending is allowed at once, as with a quick Redis, though every call takes 300 ms."""
    async with (
        relay_to(redis_server.port) as slow,
        running(settings_of(slow.url, tmp_path / "journal")) as gateway,
    ):
        session = await gateway.open(plan_of(org_limits=limited(per_s=1, burst=5)))
        slow.delay_s = 0.3
        await asyncio.sleep(0.5)
        renewals, waits_s = len(session.news), []
        for _ in range(150):  # audio in real time
            asked_s = time.monotonic()
            allowed = session.spend(1_000)
            waits_s.append(time.monotonic() - asked_s)
            assert allowed
            await asyncio.sleep(0.01)
        assert statistics.median(waits_s) < 0.01
        assert len(session.news) - renewals >= 3
        assert gateway.figure("patchbay_limiter_call_seconds_bucket", le="0.2") < gateway.figure(
            "patchbay_limiter_call_seconds_count"
        )
        assert not gateway.limits.is_away


@pytest.mark.parametrize(
    ("limit", "reason", "remaining", "most"),
    [
        (RefusedFor.sessions, Reason.concurrency_limit, 0, 3),
        (RefusedFor.starts, Reason.start_rate_limit, 0, 2),
        (RefusedFor.compute, Reason.quota_exhausted, 5, MICRO),
    ],
)
def test_a_refusal_says_what_is_left_in_the_unit_of_its_limit(
    limit: RefusedFor, reason: Reason, remaining: int, most: int
) -> None:
    plan = plan_of(org_limits=limited(per_s=1, burst=1, max_sessions=3, starts_per_s=2))
    refused = refusal_of(plan, limit, Level.org, remaining_us=5, retry_after_ms=None)
    assert (refused.reason, refused.remaining, refused.limit, refused.retry_after_ms) == (
        reason,
        remaining,
        most,
        1_000,
    )
