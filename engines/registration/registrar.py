"""Keeps one engine in one registry: renews its lease, tells what changed at once, and takes it off at the end.

These must stay true:
  - Nothing that happens to the registry keeps the engine from serving.
  - After a registry came back empty the engine stands in it again within a third of its lease.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog

from engines.registration.registry import RegistryAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.registration.lease import EngineLease
    from engines.registration.registry import EngineRegistry

_LONGEST_RETRY_MS = 1_000
_CHANGE_POLL_MS = 100

log = structlog.get_logger("engine")


class Registrar:
    """`lease`: what to say now; asked often, so cheap. Its owner runs `run` in a task, then calls `leave`."""

    def __init__(self, registry: EngineRegistry, lease: Callable[[], EngineLease]) -> None:
        self._registry = registry
        self._lease = lease
        self._said: EngineLease | None = None
        self._is_away = False

    async def run(self) -> None:
        """Stay registered until cancelled."""
        while True:
            is_kept = await self._keep()
            ttl_ms = self._lease().ttl_ms
            longest_ms = ttl_ms // 3 if is_kept else min(ttl_ms // 3, _LONGEST_RETRY_MS)
            await self._wait(random.uniform(longest_ms * 3 / 4, longest_ms) / 1_000, wakes=is_kept)

    async def leave(self) -> None:
        """Take the engine off and close the connection; if the registry is away, the lease runs out by itself."""
        try:
            await self._registry.drop(self._lease().instance)
        except RegistryAway as error:
            log.warning("registration.left_behind", error=str(error))
        await self._registry.aclose()

    async def _keep(self) -> bool:
        lease = self._lease()
        try:
            await self._registry.keep(lease)
        except RegistryAway as error:
            if not self._is_away:
                self._is_away = True
                log.warning("registration.away", error=str(error))
            return False
        if self._said is None or self._is_away:
            log.info("registration.kept", pool=lease.pool, capacity=lease.capacity.value, lease_ms=lease.ttl_ms)
        self._is_away = False
        self._said = lease
        return True

    async def _wait(self, seconds: float, *, wakes: bool) -> None:
        """So long, or until there is something else to say."""
        loop = asyncio.get_running_loop()
        due_at_s = loop.time() + seconds
        while True:
            left_s = due_at_s - loop.time()
            if left_s <= 0 or (wakes and self._lease() != self._said):
                return
            await asyncio.sleep(min(left_s, _CHANGE_POLL_MS / 1_000))
