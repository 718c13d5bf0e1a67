"""Health, readiness and metrics over HTTP, for probes and scrapers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.drain import Readiness
    from gateway.metrics import GatewayMetrics


class AdminHttp:
    """`/healthz`: the process runs. `/readyz`: clients may be sent here. `/metrics`: Prometheus text."""

    def __init__(self, readiness: Readiness, has_engine: Callable[[], bool], metrics: GatewayMetrics) -> None:
        self._readiness = readiness
        self._has_engine = has_engine
        self._metrics = metrics

    def add_health(self, app: web.Application) -> None:
        """What may also stand on the public port."""
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)

    def add_all(self, app: web.Application) -> None:
        self.add_health(app)
        app.router.add_get("/metrics", self._metrics_page)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        waits_for = []
        if self._readiness.is_draining:
            waits_for.append("draining")
        if not self._has_engine():
            waits_for.append("no_engine")
        if not self._readiness.has_policy():
            waits_for.append("no_policy")
        if waits_for:
            return web.json_response({"status": "not ready", "reasons": waits_for}, status=503)
        return web.json_response({"status": "ready"})

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        text = generate_latest(self._metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
