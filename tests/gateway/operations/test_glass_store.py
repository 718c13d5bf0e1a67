"""Promises of the permissions' place in a real Redis: compare-and-set, and the latest wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.operations.glass_document import GlassMalformed, version_of
from gateway.operations.glass_store import GlassStoreAway, OwnGlassStore, RedisGlassStore
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from policies.residency.break_glass import Permissions
from tests.gateway.operations.test_glass_document import ONE
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.operations.glass_store import GlassStore

FIRST, SECOND = Permissions(1, (ONE,)), Permissions(2)


async def _keeps_its_promises(store: GlassStore) -> None:
    assert await store.look("?") == (False, "", None)
    put = await store.change(FIRST, known_version="")
    assert (put.is_written, put.version) == (True, version_of(FIRST))
    assert (await store.look("?")).permissions == FIRST
    assert (await store.look(put.version)).permissions is None
    late = await store.change(SECOND, known_version="")
    assert (late.is_written, late.permissions) == (False, FIRST)
    assert (await store.change(SECOND, known_version=put.version)).is_written


@pytest.mark.unit
async def test_a_gateway_that_is_alone_keeps_its_own() -> None:
    await _keeps_its_promises(OwnGlassStore())


@pytest.mark.integration
async def test_redis_keeps_them_and_an_older_one_is_not_restored(tmp_path: Path) -> None:
    server = RedisServer(tmp_path).start()
    link = RedisLink(RedisSettings(urls=(SecretStr(server.url),)))
    try:
        store = RedisGlassStore(link, "eu-1")
        await _keeps_its_promises(store)
        old = await store.restore(FIRST)
        assert (old.is_written, old.permissions) == (False, SECOND)
        with server.client() as client:
            (key,) = client.keys("*glass*")
            client.hset(key, "document", "{")
        with pytest.raises(GlassMalformed):
            await store.look("?")
        server.kill()
        with pytest.raises(GlassStoreAway):
            await store.look("?")
    finally:
        await link.aclose()
        server.stop()
