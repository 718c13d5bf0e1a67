"""Processes to be killed: the real limiter with its journal and Redis client under sessions that only spend, and the
real exporter. They are forked from one process that has imported everything, so that they are there in no time.

    python -m tests.harness.metered_gateway

Each line on standard input is a Spawn as JSON; the answer is the child's process id. Children end when they are killed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import signal
import sys
import time
import traceback
import uuid
from dataclasses import replace
from pathlib import Path

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from gateway import logs
from gateway.errors import QuotaRefused, Unavailable
from gateway.limits.limiter import LimiterParts, RedisSessionLimits
from gateway.limits.metrics import LimiterMetrics
from gateway.limits.settings import LimitSettings
from gateway.metering.exporter.exporter import Exporter
from gateway.metering.exporter.settings import ExporterSettings
from gateway.metering.journal import FileJournal
from gateway.metering.journal_metrics import JournalMetrics
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from gateway.session.credit import QuotaUpdate, UsedSoFar
from policies.plans import CallerPlan
from tests.harness.usage import caller_plan
from tests.harness.witnessed_journal import WitnessedJournal


class GatewayOrder(msgspec.Struct, frozen=True, tag="gateway"):
    """`settings`: LimitSettings. `sessions`: so many at once, of which each lives for `session_s` on average.

    `fast_clock`: hours pass so many times as fast, from `epoch_ms` on; one that all processes of a test share.
    """

    settings: dict[str, object]
    witness: str
    log: str
    orgs: tuple[str, ...]
    sessions: int
    session_s: float
    epoch_ms: int
    fast_clock: int = 1
    max_sessions: int | None = None
    """Of an org."""
    opens_at_once: int | None = None
    """So many at a time try to open a session; the others wait for them. None: each by itself."""


class ExporterOrder(msgspec.Struct, frozen=True, tag="exporter"):
    """`settings`: ExporterSettings; `redis`: RedisSettings."""

    settings: dict[str, object]
    redis: dict[str, object]
    log: str


_PR_SET_PDEATHSIG = 1
Spawn = GatewayOrder | ExporterOrder


class Spender:
    """A LimitedSession that spends at random what it is granted."""

    US_PER_S = 400_000

    def __init__(self, opening: QuotaUpdate) -> None:
        self._granted_us = opening.granted_us
        self._compute_us = 0
        self._audio_ms = 0
        self._at_s = time.monotonic()

    def used_so_far(self) -> UsedSoFar:
        now_s = time.monotonic()
        spent_us = int((now_s - self._at_s) * self.US_PER_S * random.uniform(0.0, 2.0))
        self._at_s = now_s
        if self._granted_us is not None:
            spent_us = max(0, min(spent_us, self._granted_us - self._compute_us))
        self._compute_us += spent_us
        self._audio_ms += spent_us // 100
        ahead_us = 2 * self.US_PER_S
        return UsedSoFar(self._compute_us, self._audio_ms, self._compute_us + ahead_us, self._compute_us + 1_000)

    def quota_update(self, update: QuotaUpdate) -> None:
        self._granted_us = update.granted_us


class SteadyPlans:
    """Plans that never change."""

    version = 0

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | None:
        return plan


async def live(limits: RedisSessionLimits, order: GatewayOrder, turns: asyncio.Semaphore) -> None:
    """One session after the other."""
    while True:
        plan = caller_plan(random.choice(order.orgs))
        plan = replace(plan, org=replace(plan.org, max_sessions=order.max_sessions))
        async with turns:
            try:
                tab = await limits.acquire(plan, session_id=uuid.uuid4().hex)
            except (QuotaRefused, Unavailable):
                await asyncio.sleep(0.1)
                continue
        tab.attach(Spender(tab.opening), add_ons=())
        await asyncio.sleep(random.expovariate(1 / order.session_s))
        tab.release()


async def be_gateway(order: GatewayOrder) -> None:
    settings = LimitSettings.model_validate(order.settings)
    assert settings.journal is not None
    assert settings.redis is not None
    registry = CollectorRegistry()
    journal = FileJournal(settings.journal, JournalMetrics(registry), window_slices=settings.event_window_slices)
    parts = LimiterParts(
        link=RedisLink(settings.redis),
        plans=SteadyPlans(),
        journal=WitnessedJournal(journal, Path(order.witness)),
        metrics=LimiterMetrics(registry),
        region="local",
        monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        unix_ms=lambda: order.epoch_ms + (time.time_ns() // 1_000_000 - order.epoch_ms) * order.fast_clock,
    )
    limits = RedisSessionLimits(settings, parts)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(journal.run())
        tasks.create_task(limits.run())
        turns = asyncio.Semaphore(order.opens_at_once or order.sessions or 1)
        for _ in range(order.sessions):
            tasks.create_task(live(limits, order, turns))


async def be_exporter(order: ExporterOrder) -> None:
    settings = ExporterSettings.model_validate(order.settings)
    await Exporter(settings, RedisSettings.model_validate(order.redis)).run(lambda _address: None)


def be(spawn: Spawn) -> None:
    """Die with whoever forked this, at the latest."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(spawn.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    random.seed()
    logs.configure("info")
    match spawn:
        case GatewayOrder():
            asyncio.run(be_gateway(spawn))
        case ExporterOrder():
            uvloop.run(be_exporter(spawn))


def serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children, so they leave nothing behind
    print("ready", flush=True)
    for line in sys.stdin:
        spawn = msgspec.json.decode(line, type=Spawn)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                be(spawn)
            except BaseException:  # noqa: BLE001  (the last thing that this process does)
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        print(child, flush=True)


if __name__ == "__main__":
    serve()
