"""Commit points as tests write them, and gateways that keep them in a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from gateway.resumption.interface import CommitPoint
from gateway.resumption.metrics import ResumptionMetrics
from gateway.resumption.points import StoredCommitPoints
from gateway.resumption.settings import ResumptionSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.resumption.peers import PeerRegions


def point_at(sample: int = 0, **changes: Any) -> CommitPoint:
    """Of the session `s`, at its first gateway, unless `changes` say otherwise."""
    standard: dict[str, Any] = {
        "session_id": "s",
        "org": "acme",
        "generation": 1,
        "committed_sample": sample,
        "charged_through_sample": sample,
        "epoch": 1,
        "model": "m",
        "model_version": "v",
        "tab_id": "s",
    }
    return CommitPoint(**{**standard, **changes})


class KeepingGateway:
    """What a gateway has of it. `superseded`: sessions that it lost to another."""

    def __init__(self, url: str | None, *, region: str = "here", peers: PeerRegions | None = None) -> None:
        self.link = (
            None
            if url is None
            else RedisLink(RedisSettings(urls=(SecretStr(url),), connect_timeout_ms=1_000, call_timeout_ms=1_000))
        )
        self.registry = CollectorRegistry()
        self.points = StoredCommitPoints(
            ResumptionSettings(tick_ms=10), self.link, ResumptionMetrics(self.registry), region=region, peers=peers
        )
        self.here = frozenset({region})
        self.superseded: list[str] = []

    def open(self, point: CommitPoint, *, permitted: frozenset[str] | None = None) -> Any:
        """`permitted`: regions that may keep its points; left out: this one."""
        return self.points.open(
            point, self.here if permitted is None else permitted, lambda: self.superseded.append(point.session_id)
        )

    def figure(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def keeping(
    url: str | None, *, region: str = "here", peers: PeerRegions | None = None
) -> AsyncIterator[KeepingGateway]:
    """A gateway that runs."""
    gateway = KeepingGateway(url, region=region, peers=peers)
    running = asyncio.create_task(gateway.points.run())
    try:
        yield gateway
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if gateway.link is not None:
            await gateway.link.aclose()
