"""One exporter: a courier for each sink, and a survey of all orgs that feeds them, takes over and trims."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sqlite3
import time
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from gateway.metering.entries import MS_PER_HOUR
from gateway.metering.exporter.courier import Courier, NotWritten
from gateway.metering.exporter.http import ExporterHttp, FetchesEvents
from gateway.metering.exporter.log_thread import LogThread
from gateway.metering.exporter.metrics import ExporterMetrics
from gateway.metering.exporter.permission import AllPermitted
from gateway.metering.exporter.streams import MeterStreams, OrgState
from gateway.metering.sinks.making import make_sink
from gateway.redis_link.client import RedisLink, reconnect_after_ms
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.metering.exporter.permission import Permission
    from gateway.metering.exporter.settings import ExporterSettings
    from gateway.redis_link.settings import RedisSettings

log = structlog.get_logger()
_TAKE_OVER_AT_ONCE = 100
_PRUNE_S = 60.0
_PRUNED_AT_ONCE = 5_000


class AddressTaken(Exception):
    """Metrics and health cannot be answered there."""


class LogUnusable(Exception):
    """The sent log cannot be opened."""


class Exporter:
    """Made and run within one loop."""

    def __init__(
        self,
        settings: ExporterSettings,
        redis: RedisSettings,
        permission: Permission | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`permission` None: everything may leave for every receiver. `registry`: that other parts show figures in.

        Raises:
            LogUnusable: the sent log cannot be opened.
        """
        self._settings = settings
        self._metrics = ExporterMetrics(CollectorRegistry() if registry is None else registry)
        ProcessCollector(registry=self._metrics.registry)
        self._link = RedisLink(redis, client_name="patchbay-exporter")
        self.consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._streams = MeterStreams(
            self._link,
            groups=[sink.name for sink in settings.sinks],
            consumer=self.consumer,
            is_cluster=redis.is_cluster,
        )
        try:
            self._sent = LogThread(settings.state_directory)
        except (OSError, sqlite3.Error) as error:
            raise LogUnusable(f"the sent log in {settings.state_directory} cannot be opened: {error}") from None
        self._sinks = {sink.name: make_sink(sink, source=settings.source) for sink in settings.sinks}
        self._couriers = [
            Courier(
                self._sinks[sink.name],
                sink,
                settings,
                self._streams,
                self._sent,
                self._metrics,
                AllPermitted() if permission is None else permission,
            )
            for sink in settings.sinks
        ]
        self._orgs: set[str] = set()
        self._losses = self._link.losses
        self._is_in_touch = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()
        for courier in self._couriers:
            courier.stop()

    async def run(self, show: Callable[[str], None]) -> None:
        """Until `stop`. `show` is told the address of metrics and health once all is begun.

        Raises:
            AddressTaken: nothing was begun.
        """
        fetchers = {name: sink for name, sink in self._sinks.items() if isinstance(sink, FetchesEvents)}
        http = ExporterHttp(self._settings.sinks, fetchers, self._sent, self._metrics, lambda: self._is_in_touch)
        runner = web.AppRunner(http.app(), access_log=None)
        await runner.setup()
        try:
            listen = self._settings.listen
            try:
                await web.TCPSite(runner, listen.host, listen.port).start()
            except OSError as error:
                raise AddressTaken(f"{listen.host}:{listen.port}: {error.strerror}") from None
            host, port = runner.addresses[0][:2]
            show(f"http://{host}:{port}")
            log.info("exporter.started", consumer=self.consumer, sinks=[sink.name for sink in self._settings.sinks])
            await self._run_parts()
        finally:
            await runner.cleanup()
            for sink in self._sinks.values():
                await sink.aclose()
            await self._sent.aclose()
            await self._link.aclose()
        log.info("exporter.stopped")

    async def _run_parts(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(courier.run()) for courier in self._couriers]
            parts += [tasks.create_task(self._keep_surveying()), tasks.create_task(self._keep_pruning())]
            await self._stopping.wait()
            _done, late = await asyncio.wait(parts, timeout=self._settings.stop_ms / 1_000)
            for part in late:
                part.cancel()

    # --- the survey ---------------------------------------------------------------------------------------------------

    async def _keep_surveying(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._survey()
            except RedisAway as away:
                self._metrics.redis_away.labels(away.why.value).inc()
                if self._is_in_touch or attempt == 0:
                    log.warning("exporter.redis_away", reason=away.why.value)
                self._is_in_touch = False
                await self._rest(reconnect_after_ms(attempt) / 1_000)
                attempt += 1
                continue
            except NotWritten:
                return
            if not self._is_in_touch and attempt:
                log.info("exporter.redis_back")
            self._is_in_touch = True
            attempt = 0
            await self._rest(self._settings.survey_ms / 1_000)

    async def _survey(self) -> None:
        found = set(await self._streams.orgs())
        losses = self._link.losses
        # Orgs that a Redis forgot are followed all the same: their streams come back.
        new = found | self._orgs if losses != self._losses else found - self._orgs
        if new:
            await self._streams.make_groups(sorted(new))
            self._orgs |= new
            self._losses = losses
        orgs = sorted(self._orgs)
        for courier in self._couriers:
            courier.follow(orgs)
        await self._streams.heartbeat(orgs)
        states = await self._streams.look(orgs, dead_after_ms=self._settings.dead_after_ms)
        self._show(states)
        for courier in self._couriers:
            await self._take_over(courier, states)
        self._metrics.trimmed.inc(await self._streams.trim(states))
        for courier in self._couriers:
            name = courier.name
            self._metrics.dead_letters.labels(name).set(
                await self._count(lambda sent, name=name: sent.count_dead(name))
            )
            self._metrics.settling.labels(name).set(
                await self._count(lambda sent, name=name: sent.count_settling(name))
            )

    async def _count(self, call: Callable[..., int]) -> float:
        try:
            return await self._sent.ask(call)
        except sqlite3.Error:
            self._metrics.disk_failures.inc()
            return float("nan")

    def _show(self, states: dict[str, OrgState]) -> None:
        now_ms = time.time_ns() // 1_000_000
        for courier in self._couriers:
            groups = [state.groups[courier.name] for state in states.values() if courier.name in state.groups]
            self._metrics.lag_entries.labels(courier.name).set(sum(group.pending + group.lag for group in groups))
            oldest_ms = min((group.oldest_ms for group in groups if group.oldest_ms is not None), default=now_ms)
            self._metrics.lag.labels(courier.name).set(max(0, now_ms - oldest_ms) / 1_000)

    async def _take_over(self, courier: Courier, states: dict[str, OrgState]) -> None:
        """What the dead hold; and what is ours without our knowing it, after an answer was lost."""
        if not await self._sinks[courier.name].is_ready():
            return
        is_suspicious, courier.has_lost_answer = courier.has_lost_answer, False
        for org, state in states.items():
            group = state.groups.get(courier.name)
            for consumer in state.dead.get(courier.name, ()):
                if group is not None and group.pending:
                    await self._take_over_from(courier, org, consumer)
                else:
                    await self._streams.forget(courier.name, org, consumer)
            if is_suspicious and group is not None and group.pending:
                await self._find_own(courier, org)

    async def _take_over_from(self, courier: Courier, org: str, consumer: bytes) -> None:
        while courier.room:
            limit = min(courier.room, _TAKE_OVER_AT_ONCE)
            entries = await self._streams.take_over(courier.name, org, consumer, limit=limit, after=b"0-0")
            if not entries:
                return
            log.warning("exporter.taken_over", sink=courier.name, events=len(entries))
            self._metrics.taken_over.labels(courier.name).inc(len(entries))
            await courier.take_in(entries, were_anothers=True)

    async def _find_own(self, courier: Courier, org: str) -> None:
        after = b"0-0"
        while True:
            limit = min(courier.room, _TAKE_OVER_AT_ONCE)
            if limit == 0:
                courier.has_lost_answer = True
                return
            entries = await self._streams.take_over(courier.name, org, self.consumer.encode(), limit=limit, after=after)
            if not entries:
                return
            after = entries[-1][0].entry
            await courier.take_in(entries)

    async def _keep_pruning(self) -> None:
        while not self._stopping.is_set():
            before = time.time_ns() // 1_000_000 // MS_PER_HOUR - 24 * self._settings.remember_days
            try:
                gone = await self._sent.ask(lambda sent: sent.prune(before_hour=before, limit=_PRUNED_AT_ONCE))  # noqa: B023
            except sqlite3.Error:
                self._metrics.disk_failures.inc()
                gone = 0
            await self._rest(1.0 if gone else _PRUNE_S)

    async def _rest(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()
