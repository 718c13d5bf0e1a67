"""A rolling upgrade: one process after the other is emptied, ended in order and started again.

The next one is not touched before the one before it serves again. So of the processes of one kind never more than one
is away.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from regions.lab.operator import OrderRefused
from regions.lab.processes import ProcessFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regions.lab.fault_spec import FaultSpec
    from regions.lab.operator import Operator
    from regions.lab.world import World

_POLL_S = 0.1
_END_S = 60.0
_SERVES_S = 30.0


class RollingUpgrade:
    """`done`: the names of those that serve again; `failures`: why it stopped, where it did."""

    def __init__(self, world: World, operator: Operator) -> None:
        self._world = world
        self._operator = operator
        self.done: list[str] = []
        self.failures: list[str] = []

    async def run(self, names: Sequence[str], fault: FaultSpec) -> None:
        """One after the other; the first one that does not serve again ends it, as it should for a bad release."""
        for name in names:
            try:
                await self._one(name, fault)
            except (OrderRefused, ProcessFailed, TimeoutError) as failed:
                self.failures.append(f"{name}: {failed or type(failed).__name__}")
                return
            self.done.append(name)

    async def _one(self, name: str, fault: FaultSpec) -> None:
        table = self._world.table
        member = table.members[name]
        is_ordered = name.startswith("engine/") and self._world.spec.regions > 1
        if is_ordered:
            target = self._world.ordered(name)
            run = await self._operator.give(target, fault.model_copy(update={"act": "drain"}), name=name)
            await self._operator.watch(target, run, within_s=fault.within_s)
        table.terminate(member, down_s=None)
        if member.process is not None:
            async with asyncio.timeout(_END_S):
                await member.process.wait()
        await table.start(member)
        if is_ordered:
            await self._operator.give(target, fault.model_copy(update={"act": "undrain"}), name=name)
        await self._until_it_serves(name)

    async def _until_it_serves(self, name: str) -> None:
        """A gateway says that it is ready; an engine is known to its region's gateways again."""
        until_s = time.monotonic() + _SERVES_S
        while not await self._serves(name):
            if time.monotonic() > until_s:
                raise ProcessFailed(f"{name} does not serve again")
            await asyncio.sleep(_POLL_S)

    async def _serves(self, name: str) -> bool:
        kind, region, _ = name.split("/")
        if kind == "gateway":
            return await self._world.is_ready(name)
        if self._world.spec.regions == 1:
            return True
        return await self._operator.is_serving(region, self._world.ordered(name).name)
