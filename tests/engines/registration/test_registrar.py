"""Promises of an engine's registration, against a real Redis that dies and comes back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from engines.registration.lease import EngineLease, LeaseNames
from engines.registration.registrar import Registrar
from engines.registration.registry import EngineRegistry
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

NAMES = LeaseNames("patchbay", "eu")
LEASE = EngineLease(instance="a", address="a:1", pool="p", ttl_ms=600)


class Engine:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.lease = LEASE

    def __call__(self) -> EngineLease:
        return self.lease


@contextlib.asynccontextmanager
async def registered(server: RedisServer, engine: Engine) -> AsyncIterator[None]:
    registrar = Registrar(EngineRegistry(server.url, NAMES), engine)
    running = asyncio.create_task(registrar.run())
    await until(lambda: stands(server))
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await registrar.leave()


def stands(server: RedisServer, part: str = "a:1") -> bool:
    with server.client() as client:
        return part in str(client.hget(NAMES.leases, "a"))


def is_there(server: RedisServer) -> bool:
    with server.client() as client:
        return bool(client.exists(NAMES.leases))


async def test_an_engine_tells_that_it_drains_at_once_and_leaves_at_the_end(server: RedisServer) -> None:
    engine = Engine()
    engine.lease = msgspec.structs.replace(LEASE, ttl_ms=60_000)
    async with registered(server, engine):
        engine.lease = msgspec.structs.replace(engine.lease, is_draining=True)
        await until(lambda: stands(server, '"is_draining":true'))
    assert not is_there(server)


async def test_after_a_redis_came_back_empty_the_engine_stands_in_it_again(server: RedisServer) -> None:
    engine = Engine()
    with capture_logs() as logs:
        async with registered(server, engine):
            server.kill()
            await until(lambda: any(line["event"] == "registration.away" for line in logs))
            server.start()
            assert not is_there(server)
            await until(lambda: stands(server))
            server.kill()
    assert [line["event"] for line in logs] == [
        "registration.kept",
        "registration.away",
        "registration.kept",
        "registration.left_behind",
    ]
