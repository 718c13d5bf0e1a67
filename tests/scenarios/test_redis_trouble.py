"""Redis is killed, emptied, failed over, stalled, full or read-only: sessions go on, and the bill is exact afterwards.

"Exact" is: settled = recorded = what the sessions used, to the microsecond, over all sessions that ever were.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gateway.errors import QuotaRefused, Reason, Unavailable
from policies.plans import WhenLimiterAway
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
from tests.harness.redis_clock import SettableClock
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.alone]

MODES = tuple(WhenLimiterAway)
SPENDING_US = 1_000
"""Each 10 ms, as audio in real time would; a session's credit runs a second ahead."""


@pytest.fixture
async def gateway(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[LimitedGateway]:
    async with running(settings_of(redis_server.url, tmp_path / "journal")) as gateway:
        yield gateway


@dataclass
class Load:
    """Sessions that spend all the time; one for each mode."""

    sessions: list[SpendingSession]
    used_by_ended_us: int = 0
    is_spending: bool = True

    async def spend(self) -> None:
        while True:
            if self.is_spending:
                for session in self.sessions:
                    session.spend(SPENDING_US)
            await asyncio.sleep(0.01)

    @property
    def used_us(self) -> int:
        return self.used_by_ended_us + sum(session.compute_us for session in self.sessions)

    def end(self, session: SpendingSession) -> None:
        self.sessions.remove(session)
        self.used_by_ended_us += session.compute_us
        session.tab.release()


@contextlib.asynccontextmanager
async def load_on(gateway: LimitedGateway) -> AsyncIterator[Load]:
    load = Load([await gateway.open(plan_of(away=mode)) for mode in MODES])
    spending = asyncio.create_task(load.spend())
    try:
        yield load
    finally:
        spending.cancel()


async def went_on(load: Load, *, for_s: float) -> None:
    """Every session spends as fast as it would, for so long; on a busy machine for as long as that much takes."""
    before = [(session, session.compute_us, session.ran_dry) for session in load.sessions]
    least_us = SPENDING_US * for_s / 0.01 / 3
    await asyncio.sleep(for_s)
    await until(lambda: all(session.compute_us - began_us > least_us for session, began_us, _ in before))
    for session, _, ran_dry in before:
        assert session.ran_dry == ran_dry


async def refuses_by_mode(gateway: LimitedGateway) -> None:
    """While Redis is away: closed admits nobody, safe by its share, open whoever comes; places of these come back."""
    with pytest.raises(Unavailable) as refused:
        await gateway.open(plan_of(away=WhenLimiterAway.closed))
    assert refused.value.reason is Reason.limiter_unavailable
    two_of_four = plan_of("beta", away=WhenLimiterAway.safe, org_limits=limited(max_sessions=4))
    safe = [await gateway.open(two_of_four) for _ in range(2)]
    with pytest.raises(QuotaRefused) as full:
        await gateway.open(two_of_four)
    assert full.value.reason is Reason.concurrency_limit
    opened = [await gateway.open(plan_of("beta", away=WhenLimiterAway.open)) for _ in range(3)]
    for session in (*safe, *opened):
        assert session.is_unlimited
        session.spend(777)
        session.tab.release()


async def is_away(gateway: LimitedGateway, load: Load) -> None:
    await until(lambda: gateway.limits.is_away, what="the loss of Redis")
    await until(lambda: all(session.is_unlimited for session in load.sessions), what="news of it")


async def is_back(gateway: LimitedGateway, load: Load) -> None:
    await until(lambda: not gateway.limits.is_away, what="Redis")
    await until(lambda: not any(session.is_unlimited for session in load.sessions), what="limits that hold again")


async def bill_is_exact(gateway: LimitedGateway, load: Load, server: RedisServer) -> None:
    """All sessions end; then everything is settled and recorded, and nothing is held or kept."""
    for session in list(load.sessions):
        load.end(session)
    await until(lambda: gateway.num_tabs == 0, what="the last settlement")
    await until(lambda: bill_in(server)[1] >= load.used_us, what="the last event")
    assert bill_in(server) == (load.used_us,) * 3
    with server.client() as client:
        assert client.zcard("patchbay:{acme}:leases:o") == 0
        assert client.hget("patchbay:{acme}:bucket:o", "held_us") == "0"


async def test_when_redis_is_killed_sessions_go_on_and_are_billed_when_it_is_back(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", is_durable=True).start()
    try:
        async with running(settings_of(server.url, tmp_path / "journal")) as gateway, load_on(gateway) as load:
            await went_on(load, for_s=0.4)
            server.kill()
            await is_away(gateway, load)
            await refuses_by_mode(gateway)
            await went_on(load, for_s=0.4)
            load.end(load.sessions[0])
            server.start()
            await is_back(gateway, load)
            await went_on(load, for_s=0.3)
            await bill_is_exact(gateway, load, server)
            assert bill_in(server, "beta") == (5 * 777,) * 3
    finally:
        server.stop()


async def test_when_redis_comes_back_empty_all_is_restored_from_the_journal(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    async with load_on(gateway) as load:
        load.sessions.append(short := await gateway.open(plan_of()))
        await went_on(load, for_s=0.5)
        load.end(short)  # of this one only the journal's events are left
        await until(lambda: gateway.num_tabs == len(MODES), what="its settlement")
        redis_server.restart_empty()
        await is_back(gateway, load)
        await until(lambda: gateway.figure("patchbay_limiter_restored_total") >= len(MODES), what="the tabs")
        await went_on(load, for_s=0.3)
        await bill_is_exact(gateway, load, redis_server)
        assert gateway.figure("patchbay_limiter_rerecorded_total") > 0


async def test_when_a_replica_that_lacks_the_last_writes_is_promoted_the_bill_is_whole(tmp_path: Path) -> None:
    primary = RedisServer(tmp_path / "primary", "--repl-diskless-sync-delay", "0").start()
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(primary.port)).start()
    try:
        async with (
            relay_to(primary.port) as name,
            running(settings_of(name.url, tmp_path / "journal")) as gateway,
            load_on(gateway) as load,
        ):
            with replica.client() as client:
                await until(lambda: client.info("replication")["master_link_status"] == "up", what="the replica")
                await went_on(load, for_s=0.4)
                client.replicaof("NO", "ONE")
            await went_on(load, for_s=0.4)  # what is written here is lost
            primary.kill()
            await is_away(gateway, load)
            await refuses_by_mode(gateway)
            name.lead_to(replica.port)
            await is_back(gateway, load)
            await went_on(load, for_s=0.3)
            await bill_is_exact(gateway, load, replica)
            assert bill_in(replica, "beta") == (5 * 777,) * 3
    finally:
        primary.stop()
        replica.stop()


async def test_while_redis_stalls_for_five_seconds_sessions_go_on_and_keep_their_places(
    gateway: LimitedGateway, redis_server: RedisServer
) -> None:
    async with load_on(gateway) as load:
        await went_on(load, for_s=0.3)
        with redis_server.stalled():
            await is_away(gateway, load)
            await refuses_by_mode(gateway)
            await went_on(load, for_s=4.5)
        await is_back(gateway, load)
        await went_on(load, for_s=0.3)
        await bill_is_exact(gateway, load, redis_server)
        assert bill_in(redis_server, "beta") == (5 * 777,) * 3


@pytest.mark.parametrize("trouble", ["out_of_memory", "read_only"])
async def test_while_redis_takes_no_writes_sessions_go_on_and_nothing_is_lost(
    gateway: LimitedGateway, redis_server: RedisServer, trouble: str
) -> None:
    async with load_on(gateway) as load:
        await went_on(load, for_s=0.3)
        with redis_server.client() as client:
            if trouble == "out_of_memory":
                client.config_set("maxmemory-policy", "noeviction")
                client.config_set("maxmemory", 1)
            else:
                client.replicaof("127.0.0.1", "1")
            await is_away(gateway, load)
            await refuses_by_mode(gateway)
            await went_on(load, for_s=0.4)
            assert gateway.figure("patchbay_limiter_failures_total", reason=trouble) > 0
            if trouble == "out_of_memory":
                client.config_set("maxmemory", 0)
            else:
                client.replicaof("NO", "ONE")
        await is_back(gateway, load)
        await went_on(load, for_s=0.3)
        await bill_is_exact(gateway, load, redis_server)
        assert bill_in(redis_server, "beta") == (5 * 777,) * 3


async def test_when_redis_clock_leaps_sessions_go_on_and_nothing_is_billed_twice(tmp_path: Path) -> None:
    """Ahead by an hour, so that leases run out and another gateway closes tabs of live sessions; then back by two."""
    clock = SettableClock(tmp_path / "clock")
    server = RedisServer(tmp_path / "redis").start(clock.environment)
    try:
        async with (
            running(settings_of(server.url, tmp_path / "other", sweep_interval_ms=50)) as other,
            running(settings_of(server.url, tmp_path / "journal")) as gateway,
            load_on(gateway) as load,
        ):
            await went_on(load, for_s=0.3)
            clock.leap(3_600)
            await went_on(load, for_s=0.6)
            clock.leap(-7_200)
            await went_on(load, for_s=0.6)
            assert not gateway.limits.is_away
            assert not other.limits.is_away
            await bill_is_exact(gateway, load, server)
    finally:
        server.stop()
