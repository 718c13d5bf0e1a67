"""A discovery that runs for one test, and what it told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from regions.discovery.metrics import DiscoveryMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from regions.discovery.interface import Discovery, EngineAddress


class Told:
    """All listings, in order."""

    def __init__(self) -> None:
        self.listings: list[tuple[EngineAddress, ...]] = []

    @property
    def addresses(self) -> list[str] | None:
        """Of the last one; None: none was told."""
        return [engine.address for engine in self.listings[-1]] if self.listings else None


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> DiscoveryMetrics:
    return DiscoveryMetrics(registry)


@pytest.fixture
async def listen() -> AsyncIterator[Callable[[Discovery], Told]]:
    running: list[asyncio.Task[None]] = []

    def start(discovery: Discovery) -> Told:
        told = Told()
        running.append(asyncio.create_task(discovery.run(told.listings.append)))
        return told

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
