"""What an exporter answers over HTTP: metrics, health, and the error reports of Stripe."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.metering.exporter.sent_log import Death, State
from gateway.metering.sinks.secrets import Secret, SecretUnreadable
from gateway.metering.sinks.settings import StripeSettings
from gateway.metering.sinks.stripe_reports import REPORTS, BadEvent, is_signed, report_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.metering.exporter.log_thread import LogThread
    from gateway.metering.exporter.metrics import ExporterMetrics
    from gateway.metering.sinks.settings import AnySinkSettings

log = structlog.get_logger()
_MAX_REPORT_BYTES = 1_048_576


@runtime_checkable
class FetchesEvents(Protocol):
    """A sink that can ask for the whole of an event of which it was told."""

    async def fetch_event(self, event_id: str) -> dict[str, Any] | None: ...


class ExporterHttp:
    """`/healthz`, `/metrics` and `/webhooks/stripe/SINK`."""

    def __init__(
        self,
        sinks: Sequence[AnySinkSettings],
        fetchers: Mapping[str, FetchesEvents],
        sent: LogThread,
        metrics: ExporterMetrics,
        is_in_touch: Callable[[], bool],
    ) -> None:
        self._stripe = {sink.name: sink for sink in sinks if isinstance(sink, StripeSettings)}
        self._secrets = {
            name: Secret(sink.webhook_secret, sink.webhook_secret_file) for name, sink in self._stripe.items()
        }
        self._fetchers = fetchers
        self._sent = sent
        self._metrics = metrics
        self._is_in_touch = is_in_touch

    def app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_REPORT_BYTES)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics_page)
        app.router.add_post("/webhooks/stripe/{sink}", self._stripe_report)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        """Alive; without Redis it waits, which restarting it would not help."""
        return web.json_response({"status": "ok", "redis": "here" if self._is_in_touch() else "away"})

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        text = generate_latest(self._metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _stripe_report(self, request: web.Request) -> web.Response:
        """200 once the events are dead letters on the disk; anything else lets Stripe send the report again."""
        name = request.match_info["sink"]
        settings = self._stripe.get(name)
        if settings is None or not self._secrets[name].is_given:
            return web.Response(status=404)
        body = await request.read()
        try:
            secret = self._secrets[name].text()
        except SecretUnreadable:
            return web.Response(status=503)
        signature = request.headers.get("Stripe-Signature", "")
        tolerance_s = settings.webhook_tolerance_s
        if not is_signed(signature, body, secret=secret, now_s=time.time(), tolerance_s=tolerance_s):
            self._secrets[name].refused()
            log.warning("exporter.report_unsigned", sink=name)
            return web.Response(status=400)
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            return web.Response(status=400)
        if not isinstance(event, dict) or event.get("type") not in REPORTS:
            return web.Response(status=200)
        report = report_of(event)
        if report is None:
            whole = await self._fetchers[name].fetch_event(str(event.get("id", "")))
            report = None if whole is None else report_of(whole)
        if report is None:
            log.error("exporter.report_unreadable", sink=name)
            return web.Response(status=503)
        try:
            await self._bury(name, report.bad, report.unnamed)
        except sqlite3.Error:
            self._metrics.disk_failures.inc()
            return web.Response(status=503)
        return web.Response(status=200)

    async def _bury(self, sink: str, bad: Sequence[BadEvent], unnamed: int) -> None:
        dead = 0
        for one in bad:
            was = await self._report(sink, one) if _is_uuid(one.event_id) else None
            if was is None:
                unnamed += 1
            elif was is not State.dead:  # else this report came before
                dead += 1
                self._metrics.died.labels(sink, f"reported_{one.code}").inc()
        if unnamed:
            self._metrics.unattributed.labels(sink).inc(unnamed)
        log.error("exporter.errors_reported", sink=sink, events=dead, unattributed=unnamed)

    async def _report(self, sink: str, bad: BadEvent) -> State | None:
        now_ms = time.time_ns() // 1_000_000
        return await self._sent.ask(
            lambda sent: sent.reported(
                sink,
                bad.event_id,
                times_before=bad.times_reported,
                death=Death(f"reported_{bad.code}", bad.message, may_have_arrived=False),
                now_ms=now_ms,
            )
        )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
