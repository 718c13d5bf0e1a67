"""Health, readiness and metrics as a probe or a scraper sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.admin_http import AdminHttp
from gateway.drain import Readiness
from gateway.metrics import GatewayMetrics
from tests.harness.metrics import Figures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration


@dataclass
class House:
    readiness: Readiness = field(default_factory=Readiness)
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)
    has_engine: bool = True

    @property
    def admin(self) -> AdminHttp:
        return AdminHttp(self.readiness, lambda: self.has_engine, self.metrics)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def private(house: House) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    house.admin.add_all(app)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def public(house: House) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    house.admin.add_health(app)
    async with TestClient(TestServer(app)) as client:
        yield client


Client = TestClient[web.Request, web.Application]


@pytest.mark.parametrize(
    ("is_draining", "has_engine", "status", "body"),
    [
        (False, True, 200, {"status": "ready"}),
        (True, True, 503, {"status": "not ready", "reasons": ["draining"]}),
        (False, False, 503, {"status": "not ready", "reasons": ["no_engine"]}),
        (True, False, 503, {"status": "not ready", "reasons": ["draining", "no_engine"]}),
    ],
)
async def test_clients_are_sent_here_while_there_is_an_engine_and_no_drain(
    house: House, private: Client, *, is_draining: bool, has_engine: bool, status: int, body: dict[str, object]
) -> None:
    house.readiness.is_draining = is_draining
    house.has_engine = has_engine
    async with private.get("/readyz") as response:
        assert (response.status, await response.json()) == (status, body)


async def test_a_draining_gateway_without_engines_is_healthy_all_the_same(house: House, private: Client) -> None:
    house.readiness.is_draining = True
    house.has_engine = False
    async with private.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_the_metrics_page_is_prometheus_text_of_this_moment(house: House, private: Client) -> None:
    for count in (1, 2):
        house.metrics.sessions_opened.labels("grpc").inc()
        async with private.get("/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            assert Figures(await response.text())("patchbay_sessions_opened_total", transport="grpc") == count


async def test_the_public_port_says_how_it_is_and_shows_no_figures(public: Client) -> None:
    statuses = {}
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        async with public.get(path) as response:
            statuses[path] = response.status
    assert statuses == {"/healthz": 200, "/readyz": 200, "/metrics": 404, "/": 404}


async def test_clients_are_sent_elsewhere_while_no_policy_is_in_force(house: House, private: Client) -> None:
    house.readiness.has_policy = lambda: False
    async with private.get("/readyz") as response:
        assert (response.status, await response.json()) == (503, {"status": "not ready", "reasons": ["no_policy"]})
