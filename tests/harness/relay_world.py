"""Two regions on one machine: `there`, with an engine and a relay before it, and links to it from `here`, over TLS."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc.aio
from prometheus_client import CollectorRegistry

from policies.routing_facts import RegionState
from regions.links.certificates import Certificates, LinkTls
from regions.links.grpc_link import GrpcLink
from regions.links.pool import LinkPool
from regions.links.region_status import RegionStatus
from regions.links.settings import LinkSettings, PoolSettings
from regions.relay.metrics import RelayMetrics
from regions.relay.server import RelayServer
from regions.relay.settings import RelaySettings
from tests.harness.certificates import Authority
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from pathlib import Path

HERE = "eu-west"
THERE = "eu-central"


class RelayWorld:
    """`status` is what the region says of itself; change it as you like."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self._folder = folder
        self._tasks = tasks
        self._running: list[asyncio.Task[None]] = []
        self.authority = Authority(folder / "authority")
        self.registry = CollectorRegistry()
        self.status = RegionStatus(region=THERE, state=RegionState.active, free_slots_of_tier={"free": 3})
        self.peers = {HERE, THERE}
        self.port = 0
        self.pool: LinkPool
        self.relay: RelayServer
        self._channels = contextlib.AsyncExitStack()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self._running.append(self._tasks.create_task(work))

    async def start(self, *engines: str, handlers: Sequence[grpc.GenericRpcHandler] = (), **settings: Any) -> None:
        """The relay of `there` before the engines at these addresses. Change `peers` as you like."""
        self.pool = LinkPool(PoolSettings(addresses=engines), gateway="there")
        self.run(self.pool.run())
        await until(lambda: len(self.pool.loads()) == len(engines), what="the engines of the region")
        files = self.authority.issue(THERE)
        values = {"host": "127.0.0.1", "port": 0, "heartbeat_interval_ms": 50} | settings
        relay_settings = RelaySettings(**files.model_dump(), **values)
        certificates = Certificates(relay_settings, use="relay")
        self.run(certificates.run())
        self.relay = RelayServer(
            relay_settings,
            pool=self.pool,
            certificates=certificates,
            status=lambda: self.status,
            is_peer=lambda name: name in self.peers,
            metrics=RelayMetrics(self.registry),
            handlers=handlers,
        )
        self.port = await self.relay.start()
        self.run(self.relay.run())

    async def link(
        self,
        *,
        certificates: Certificates | None = None,
        server_name: str = THERE,
        gateway: str = f"{HERE}/1",
        port: int = 0,
        waits: bool = True,
        **settings: Any,
    ) -> GrpcLink:
        """A link from `here` to the relay; waits until it stands."""
        if certificates is None:
            certificates = Certificates(self.authority.issue(HERE))
        values = {"connect_timeout_ms": 3_000, "reconnect_max_ms": 100} | settings
        link = GrpcLink(
            f"127.0.0.1:{port or self.port}",
            LinkSettings(**values),
            gateway=gateway,
            tls=LinkTls(certificates, server_name),
        )
        self.run(link.run())
        if waits:
            await until(lambda: link.is_connected, what="the link to the relay")
        return link

    async def bare_channel(self, **parts: bytes) -> grpc.aio.Channel:
        """A channel to the relay with other certificates than a link would use; closed at the end."""
        credentials = grpc.ssl_channel_credentials(**parts)
        options = (("grpc.ssl_target_name_override", THERE), ("grpc.use_local_subchannel_pool", 1))
        channel = grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options)
        return await self._channels.enter_async_context(channel)

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    async def close(self) -> None:
        await self._channels.aclose()
        if self.port:
            await self.relay.stop(flush_ms=100)
        for task in self._running:
            task.cancel()


@contextlib.asynccontextmanager
async def relay_world(folder: Path) -> AsyncIterator[RelayWorld]:
    async with asyncio.TaskGroup() as tasks:
        world = RelayWorld(folder, tasks)
        try:
            yield world
        finally:
            await world.close()
