"""A real Redis, its replica, and what happens when one takes the other's place."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from regions.lab.redis_pair import is_primary, promote, redis_command, until_answers, until_in_step
from tests.harness.ports import free_port
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_replica_has_what_its_primary_had_and_takes_its_place(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    async with asyncio.timeout(60), running(redis_command(HOST, first, tmp_path / "first")) as primary:
        await until_answers(HOST, first)
        async with running(redis_command(HOST, second, tmp_path / "second", replica_of=first)):
            await until_in_step(HOST, second)
            old, new = redis.asyncio.Redis(port=first), redis.asyncio.Redis(port=second)
            try:
                await old.set("order", "drain")
                await until_true(lambda: _has(new, "order"))
                assert await is_primary(HOST, first)
                assert not await is_primary(HOST, second)
                primary.kill()
                await primary.wait()
                await promote(HOST, second)
                assert await is_primary(HOST, second)
                assert await new.get("order") == b"drain"
                assert not await is_primary(HOST, first)
            finally:
                await old.aclose()
                await new.aclose()


async def _has(client: redis.asyncio.Redis, key: str) -> bool:
    return bool(await client.exists(key))
