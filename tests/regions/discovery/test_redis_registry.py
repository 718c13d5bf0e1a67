"""Promises of discovery by registration, with real engines, a real Redis and a real pool."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from engines.interface import Granted, OpenStream, StreamOptions
from engines.registration.lease import EngineLease
from policies.routing_facts import CapacityClass
from regions.discovery.redis_registry import RedisRegistry, engines_of
from regions.discovery.settings import RedisDiscovery
from regions.links.pool import LinkPool
from regions.links.settings import PoolSettings
from tests.harness.engine import running_engine
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from engines.interface import StreamEvent
    from regions.discovery.metrics import DiscoveryMetrics
    from tests.harness.engine import EngineProcess

LEASE_MS = 900


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def registered_engines(folder: Path, server: RedisServer) -> AsyncIterator[tuple[EngineProcess, EngineProcess]]:
    """A spot engine and a reserved one, started side by side."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(capacity: str) -> EngineProcess:
            (folder / capacity).mkdir()
            arguments = ("--recogniser", "scripted", "--region", "eu", "--lease-ms", str(LEASE_MS))
            engine = running_engine(
                folder / capacity, *arguments, "--register", server.url, "--capacity", capacity, "--pool", capacity
            )
            return await stack.enter_async_context(engine)

        yield tuple(await asyncio.gather(start("spot"), start("reserved")))  # type: ignore[misc]


@contextlib.asynccontextmanager
async def running_pool(server: RedisServer, metrics: DiscoveryMetrics) -> AsyncIterator[LinkPool]:
    settings = RedisDiscovery(kind="redis", url=SecretStr(server.url), poll_ms=50)
    registry = RedisRegistry(settings, region="eu", metrics=metrics)
    pool = LinkPool(PoolSettings(removal_grace_ms=100), gateway="test", discovery=registry, region="eu")
    running = asyncio.create_task(pool.run())
    yield pool
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def is_granted_by(pool: LinkPool, tier: str) -> str:
    """The capacity class of the engine that a stream of the tier goes to."""
    heard: list[StreamEvent] = []
    asked = OpenStream(session_id=tier, tenant="t", epoch=1, start_sample=0, options=StreamOptions(), tier=tier)
    stream = pool.open(asked, heard.append)
    await until(lambda: bool(heard))
    assert isinstance(heard[0], Granted), heard
    (busy,) = [
        member.capacity.value for member, link in zip(pool.members, pool.links, strict=True) if link.open_streams
    ]
    stream.cancel()
    return busy


@pytest.mark.integration
async def test_engines_come_and_go_by_themselves_and_redis_may_die(
    server: RedisServer, tmp_path: Path, metrics: DiscoveryMetrics
) -> None:
    async with running_pool(server, metrics) as pool, registered_engines(tmp_path, server) as (spot, reserved):
        await until(lambda: len(pool.loads()) == 2, what="both engines")
        assert {member.capacity for member in pool.members} == set(CapacityClass)
        assert await is_granted_by(pool, "premium") == "reserved"
        assert await is_granted_by(pool, "economy") == "spot"

        server.kill()
        spot.process.kill()
        await until(lambda: len(pool.loads()) == 1, what="the break of its link")
        assert len(pool.members) == 2, "nothing is forgotten while Redis is away"
        assert await is_granted_by(pool, "economy") == "reserved"

        server.restart_empty()
        await until(lambda: len(pool.members) == 1, what="the end of the dead engine's lease")
        with server.client() as client:
            await until(lambda: client.hlen("patchbay:engines:{eu}:leases") == 1, what="its registration anew")
        assert pool.members[0].address == reserved.address
        assert await is_granted_by(pool, "standard") == "reserved"


def lease(instance: str, address: str, started_at_unix_ms: int = 0, **facts: Any) -> EngineLease:
    return EngineLease(
        instance=instance, address=address, pool="p", ttl_ms=1, started_at_unix_ms=started_at_unix_ms, **facts
    )


@pytest.mark.unit
def test_of_two_leases_of_one_address_the_later_process_comes_first() -> None:
    dead, alive = lease("x", "a:1", 1, is_draining=True), lease("b", "a:1", 2, zone="z")
    first, second = engines_of([dead, alive])
    assert (first.zone, first.is_draining, second.is_draining) == ("z", False, True)
