"""Promises of the permissions' place, in a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.operations.glass_document import GlassMalformed
from gateway.operations.glass_in_redis import RedisGlassStore
from gateway.operations.glass_store import GlassStoreAway
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from tests.gateway.operations.glass_promises import FIRST, SECOND, store_keeps_its_promises
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.integration
async def test_redis_keeps_them_and_an_older_one_is_not_restored(tmp_path: Path) -> None:
    server = RedisServer(tmp_path).start()
    link = RedisLink(RedisSettings(urls=(SecretStr(server.url),)))
    try:
        store = RedisGlassStore(link, "eu-1")
        await store_keeps_its_promises(store)
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
