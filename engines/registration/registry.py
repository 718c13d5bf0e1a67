"""The registry of one region's engines, in a Redis: keep a lease, drop it, read all. Nothing is tried twice here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from engines.registration.lease import EngineLease, LeaseNames, MalformedLease, decode_lease, encode_lease

_SCRIPT = (Path(__file__).parent / "leases.lua").read_text(encoding="utf-8")


class RegistryAway(Exception):
    """There was no answer, or none that could be used. The text names the kind of error and no address."""


class LeaseListing(NamedTuple):
    """`leases`: None where the version is the one that was known. `malformed`: how many could not be read."""

    version: str
    leases: tuple[EngineLease, ...] | None
    malformed: int = 0


class EngineRegistry:
    """Used on one event loop; `aclose` at the end.

    Args:
        url: `redis://`, `rediss://` or `unix://`, of a single Redis.
        call_timeout_ms: for one call, making the connection included.
    """

    def __init__(self, url: str, names: LeaseNames, *, call_timeout_ms: int = 500) -> None:
        self._keys = [names.leases, names.expiry, names.version]
        self._timeout_s = call_timeout_ms / 1_000
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=self._timeout_s,
            socket_timeout=None,  # each call has a deadline
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
        self._script = self._redis.register_script(_SCRIPT)

    async def keep(self, lease: EngineLease) -> None:
        """Enter or renew. Raises RegistryAway."""
        await self._call("keep", lease.instance, encode_lease(lease), lease.ttl_ms)

    async def drop(self, instance: str) -> None:
        """Take off; nothing happens where it does not stand. Raises RegistryAway."""
        await self._call("drop", instance)

    async def read(self, known_version: str = "") -> LeaseListing:
        """All leases that have not expired. Raises RegistryAway."""
        version, *rest = await self._call("read", known_version)
        if not rest:
            return LeaseListing(version.decode(), None)
        entries: list[bytes] = rest[0]
        leases = []
        for raw in entries:
            try:
                leases.append(decode_lease(raw))
            except MalformedLease:
                continue
        return LeaseListing(version.decode(), tuple(leases), malformed=len(entries) - len(leases))

    async def aclose(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._redis.aclose()
        except (RedisError, OSError, TimeoutError):
            return  # it is gone all the same

    async def _call(self, *arguments: str | bytes | int) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer: list[Any] = await self._script(keys=self._keys, args=list(arguments))
        except (RedisError, OSError, TimeoutError) as error:
            raise RegistryAway(type(error).__name__) from error
        return answer
