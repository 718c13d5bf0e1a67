"""Emergency permissions in a region's Redis. Every call is one script. Loaded only where there is a Redis.

PREFIX:operations:{REGION}:glass    hash    revision, digest, document (JSON)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.operations.glass_document import decode, digest_of, encode
from gateway.operations.glass_store import GlassStoreAway, Seen
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from gateway.redis_link.client import RedisLink
    from policies.residency.break_glass import Permissions

_SCRIPT = (Path(__file__).parent / "glass.lua").read_text(encoding="utf-8")


class RedisGlassStore:
    """A GlassStore."""

    def __init__(self, link: RedisLink, region: str) -> None:
        self._link = link
        self._key = link.names.break_glass(region)

    async def look(self, known_version: str) -> Seen:
        return await self._call("look", known_version)

    async def change(self, permissions: Permissions, *, known_version: str) -> Seen:
        return await self._call(
            "change", known_version, permissions.revision, digest_of(permissions), encode(permissions)
        )

    async def restore(self, permissions: Permissions) -> Seen:
        return await self._call("restore", permissions.revision, digest_of(permissions), encode(permissions))

    async def _call(self, *arguments: str | bytes | int) -> Seen:
        async def call(redis: Redis) -> Any:
            return await redis.eval(_SCRIPT, 1, self._key, *arguments)

        try:
            is_written, version, raw = await self._link.ask(call)
        except RedisAway as away:
            raise GlassStoreAway(away.why.value) from away
        return Seen(is_written == 1, version.decode(), decode(raw) if raw else None)
