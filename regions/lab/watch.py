"""What the lab looks at while a drill runs: each engine's streams against its slots, by asking the engine itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING

import aiohttp
import grpc.aio

from engines.proto import engine_pb2

if TYPE_CHECKING:
    from regions.lab.world import World

_DESCRIBE = "/patchbay.engine.v1.Engine/Describe"
_ASK_S = 1.0
_INTERVAL_S = 0.25
_SAMPLE = re.compile(r"^(patchbay_\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


class EngineWatch:
    """`most_used`: of each engine, the most streams that it was seen with, and its slots then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.most_used: dict[str, tuple[int, int]] = {}
        self.totals: list[tuple[float, int]] = []
        """(when, streams on all engines that answered)."""
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(_INTERVAL_S)
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def look(self) -> int:
        """Ask every engine that runs now: how many streams they have."""
        engines = self._world.engine_addresses().items()
        used = await asyncio.gather(*(self._look(*engine) for engine in engines))
        self.totals.append((time.monotonic(), sum(used)))
        return sum(used)

    async def until_empty(self, within_s: float) -> int:
        """How many streams are left then."""
        until_s = time.monotonic() + within_s
        while True:
            left = await self.look()
            if not left or time.monotonic() > until_s:
                return left
            await asyncio.sleep(_INTERVAL_S)

    async def _look(self, name: str, address: str) -> int:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = grpc.aio.insecure_channel(address)
        call = channel.unary_unary(
            _DESCRIBE,
            request_serializer=engine_pb2.DescribeRequest.SerializeToString,
            response_deserializer=engine_pb2.Description.FromString,
        )
        with contextlib.suppress(grpc.aio.AioRpcError):
            description: engine_pb2.Description = await call(engine_pb2.DescribeRequest(), timeout=_ASK_S)
            self.note(name, used=description.load.slots_used, total=description.load.slots_total)
            return description.load.slots_used
        return 0

    def note(self, name: str, *, used: int, total: int) -> None:
        most, _ = self.most_used.get(name, (-1, 0))
        if used > most:
            self.most_used[name] = (used, total)

    @property
    def overloaded(self) -> list[str]:
        return sorted(name for name, (used, total) in self.most_used.items() if used > total)


def sum_metrics(page: str) -> dict[str, float]:
    """Each metric of ours on a page of Prometheus text, summed over its labels."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(page):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


async def gateway_metrics(world: World) -> dict[str, float]:
    """Of all gateways that run, summed."""
    sums: dict[str, float] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3.0)) as http:
        for url in world.metrics_urls().values():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(url) as response:
                    for name, value in sum_metrics(await response.text()).items():
                        sums[name] = sums.get(name, 0.0) + value
    return sums
