"""Promises of the registry, against a real Redis."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.registration.lease import EngineLease, LeaseNames
from engines.registration.registry import EngineRegistry, LeaseListing, RegistryAway
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

NAMES = LeaseNames("patchbay", "eu")


def lease(instance: str, *, ttl_ms: int = 60_000) -> EngineLease:
    return EngineLease(instance=instance, address=f"{instance}:1", pool="p", ttl_ms=ttl_ms)


@contextlib.asynccontextmanager
async def registry_in(server: RedisServer, names: LeaseNames = NAMES) -> AsyncIterator[EngineRegistry]:
    registry = EngineRegistry(server.url, names, call_timeout_ms=2_000)
    yield registry
    await registry.aclose()


async def test_leases_are_read_in_full_only_after_a_change(server: RedisServer) -> None:
    async with registry_in(server) as registry:
        await registry.keep(lease("a"))
        await registry.keep(lease("b"))
        first = await registry.read()
        assert sorted(first.leases or (), key=lambda found: found.instance) == [lease("a"), lease("b")]
        await registry.keep(lease("a"))
        assert await registry.read(first.version) == LeaseListing(first.version, None), "renewed, not changed"
        draining = msgspec.structs.replace(lease("a"), is_draining=True)
        await registry.keep(draining)
        await registry.drop("b")
        second = await registry.read(first.version)
        assert second.leases == (draining,)
        await registry.drop("b")
        assert (await registry.read(second.version)).leases is None


async def test_a_lease_that_is_not_renewed_is_gone_and_that_is_a_change(server: RedisServer) -> None:
    async with registry_in(server) as registry:
        await registry.keep(lease("short", ttl_ms=50))
        await registry.keep(lease("long"))
        known = (await registry.read()).version

        async def has_expired() -> bool:
            return (await registry.read(known)).leases == (lease("long"),)

        await until_true(has_expired)


async def test_a_redis_that_lost_everything_gives_no_version_twice(server: RedisServer) -> None:
    async with registry_in(server) as registry:
        await registry.keep(lease("a"))
        known = (await registry.read()).version
        with server.client() as client:
            client.flushall()
        assert (await registry.read(known)).leases == ()
        with server.client() as client:
            client.script_flush()
        await registry.keep(lease("a"))
        assert (await registry.read(known)).leases == (lease("a"),)


async def test_regions_and_installations_do_not_see_each_other_and_rubbish_is_counted(server: RedisServer) -> None:
    async with registry_in(server) as eu, registry_in(server, LeaseNames("patchbay", "us")) as us:
        await eu.keep(lease("a"))
        with server.client() as client:
            client.hset(NAMES.leases, "rubbish", "{}")
        listing = await eu.read()
        assert (listing.leases, listing.malformed) == ((lease("a"),), 1)
        assert (await us.read()).leases == ()


async def test_a_registry_that_is_gone_is_away_and_its_address_is_not_told(server: RedisServer) -> None:
    async with registry_in(server) as registry:
        await registry.keep(lease("a"))
        server.kill()
        with pytest.raises(RegistryAway) as away:
            await registry.read()
        assert "127.0.0.1" not in str(away.value)
