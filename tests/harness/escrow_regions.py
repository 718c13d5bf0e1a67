"""Regions of a test that lend each other compute: each with a Redis, a lending gateway and gRPC of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.escrow.borrowed import borrowed_plan
from gateway.escrow.escrow import Escrow
from gateway.escrow.metrics import EscrowMetrics
from gateway.escrow.settings import EscrowSettings
from gateway.redis_link.client import RedisLink
from gateway.redis_link.errors import RedisAway
from gateway.redis_link.settings import RedisSettings
from policies.plans import (
    MICRO,
    CallerPlan,
    Level,
    LevelLimits,
    Principal,
    Rate,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
)
from tests.harness.ports import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RATE = Rate(per_s=20 * MICRO, burst=10 * MICRO)
WHO = Principal("acme", "", "")
_SETTINGS: dict[str, Any] = {
    "default_home": "eu",
    "secret": SecretStr("a secret of regions"),
    "least_holding_us": 1_000,
    "holding_ms": 1_000,
    "look_ms": 10,
    "report_ms": 100,
    "idle_ms": 60_000,
    "call_timeout_ms": 150,
    "opening_timeout_ms": 5_000,
    "turn_ms": 400,
    "away_after_ms": 300,
    "learning_ms": 250,
}


def plan(
    when_away: WhenLimiterAway = WhenLimiterAway.closed, *, rate: Rate | None = RATE, who: Principal = WHO
) -> CallerPlan:
    limited = LevelLimits(compute=rate)
    return CallerPlan(
        name="plan",
        principal=who,
        key=limited if who.key else LevelLimits(),
        project=limited if who.project else LevelLimits(),
        org=limited,
        max_session_ms=3_600_000,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=when_away,
        rater=Rater.audio_second,
        rating_version="0" * 12,
        tier=Tier.standard,
    )


def escrow_settings(**changes: Any) -> EscrowSettings:
    return EscrowSettings(**{**_SETTINGS, "addresses": {"eu": "127.0.0.1:1"}, **changes})


def rate_of(who: Principal, name: str, level: Level) -> Rate | None:
    return RATE if name == "plan" and who.org != "nobody" else None


class LendingRegion:
    """`gateway` is the one that runs; `start` another one when it was killed."""

    def __init__(self, name: str, settings: EscrowSettings, server: RedisServer) -> None:
        self.name = name
        self.settings = settings
        self.server = server
        self.link = RedisLink(RedisSettings(urls=(SecretStr(server.url),), call_timeout_ms=2_000))
        self.registry = CollectorRegistry()
        self.metrics = EscrowMetrics(self.registry)
        self.gateway: Escrow | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> Escrow:
        if self.gateway is None:
            raise AssertionError("no gateway runs")
        return self.gateway

    def start(self) -> None:
        self.gateway = Escrow(self.settings, self.link, rate_of, self.metrics, region=self.name)
        self._task = asyncio.get_running_loop().create_task(self.gateway.run())

    async def kill(self) -> None:
        """The gateway ends without a last word."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.gateway = self._task = None

    async def close(self) -> None:
        await self.kill()
        await self.link.aclose()

    def borrows(self, when_away: WhenLimiterAway = WhenLimiterAway.closed) -> CallerPlan:
        """A session of the org is about to be opened; the plan that its limiter sees."""
        self.running.borrower.note(plan(when_away))
        return borrowed_plan(plan(when_away), self.settings.holding())

    async def balance_us(self, level: Level = Level.org, who: Principal = WHO) -> int:
        key = self.link.names.bucket(who, level)
        return int(await self.link.ask(lambda redis: redis.hget(key, "balance_us")) or 0)  # type: ignore[arg-type]

    async def book(self, name: str) -> int:
        """One number of the region's books, as in policies.escrow_region.Books."""
        key = self.link.names.borrow(WHO, Level.org)
        return int(await self.link.ask(lambda redis: redis.hget(key, name)) or 0)  # type: ignore[arg-type]

    async def root_book(self, name: str) -> int:
        """One number of the root's books."""
        key = self.link.names.lend(WHO, Level.org)
        return int(await self.link.ask(lambda redis: redis.hget(key, name)) or 0)  # type: ignore[arg-type]

    async def received(self, at_least_us: int = 1, *, within_s: float = 20.0) -> None:
        async def has() -> bool:
            try:
                return await self.book("received_us") >= at_least_us
            except RedisAway:
                return False

        await until_true(has, within_s=within_s, what=f"a loan to {self.name}")

    async def asked(self, outcome: str, *, within_s: float = 20.0) -> None:
        before = self.count(outcome)

        async def has() -> bool:
            return self.count(outcome) > before

        await until_true(has, within_s=within_s, what=f"an answer `{outcome}` to {self.name}")

    def count(self, outcome: str) -> float:
        """Of asks with that outcome."""
        return self.registry.get_sample_value("patchbay_escrow_asks_total", {"outcome": outcome}) or 0.0


@contextlib.asynccontextmanager
async def lending_regions(
    folder: Path,
    *names: str,
    ports: dict[str, int] | None = None,
    through: dict[str, int] | None = None,
    is_durable: bool = False,
    **changes: Any,
) -> AsyncIterator[dict[str, LendingRegion]]:
    """Started regions; the first is the home of all orgs. `through`: the port at which a region finds the home."""
    ports = {name: free_port() for name in names} | (ports or {})
    regions: dict[str, LendingRegion] = {}
    try:
        for name in names:
            server = RedisServer(folder / name, is_durable=is_durable).start()
            reached = {**ports, **({names[0]: through[name]} if through and name in through else {})}
            addresses = {other: f"127.0.0.1:{port}" for other, port in reached.items()}
            settings = escrow_settings(
                **{"default_home": names[0], **changes, "addresses": addresses, "port": ports[name]}
            )
            regions[name] = LendingRegion(name, settings, server)
            regions[name].start()
        yield regions
    finally:
        await asyncio.gather(*(region.close() for region in regions.values()))
        for region in regions.values():
            region.server.stop()
