"""Where the gateways of a region share its emergency permissions: Redis. Every call is one script.

PREFIX:operations:{REGION}:glass    hash    revision, digest, document (JSON)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gateway.operations.glass_document import decode, digest_of, encode, version_of
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from gateway.redis_link.client import RedisLink
    from policies.residency.break_glass import Permissions

_SCRIPT = (Path(__file__).parent / "glass.lua").read_text(encoding="utf-8")


class GlassStoreAway(Exception):
    """No answer, or none that could be used; a change may have been written all the same. The text says why."""


class Seen(NamedTuple):
    """`permissions`: what is there; None: what the caller knows, or nothing at all (`version` is empty)."""

    is_written: bool
    version: str
    permissions: Permissions | None


class GlassStore(Protocol):
    """Each method raises GlassStoreAway, and GlassMalformed where what is there cannot be read."""

    async def look(self, known_version: str) -> Seen: ...

    async def change(self, permissions: Permissions, *, known_version: str) -> Seen:
        """Put these there, where that version is."""

    async def restore(self, permissions: Permissions) -> Seen:
        """Put these there, unless what is there is as late."""


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


class OwnGlassStore:
    """Of a gateway that has no Redis, and so no gateways beside it."""

    def __init__(self) -> None:
        self._held: Permissions | None = None

    async def look(self, known_version: str) -> Seen:
        version = self._version()
        return Seen(is_written=False, version=version, permissions=None if version == known_version else self._held)

    async def change(self, permissions: Permissions, *, known_version: str) -> Seen:
        if self._version() != known_version:
            return await self.look(known_version)
        return await self.restore(permissions)

    async def restore(self, permissions: Permissions) -> Seen:
        self._held = permissions
        return Seen(is_written=True, version=self._version(), permissions=None)

    def _version(self) -> str:
        return "" if self._held is None else version_of(self._held)
