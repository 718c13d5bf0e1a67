"""`/console` as a browser asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.console.pages import ConsolePages, WebTransportOffer
from gateway.session_settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

Client = TestClient[web.Request, web.Application]


class Surroundings:
    """What may change while a gateway runs."""

    offer: WebTransportOffer | None = None
    gateways: tuple[str, ...] = ()


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
async def client(around: Surroundings) -> AsyncIterator[Client]:
    app = web.Application()
    pages = ConsolePages("eu-1", SessionSettings(), webtransport=lambda: around.offer, gateways=lambda: around.gateways)
    pages.add_to(app)
    async with TestClient(TestServer(app)) as running:
        yield running


async def test_the_page_is_html_that_nobody_may_frame(client: Client) -> None:
    answer = await client.get("/console")
    assert (answer.status, answer.content_type, answer.charset) == (200, "text/html", "utf-8")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "microphone=(self)" in answer.headers["Permissions-Policy"]


async def test_every_answer_forbids_to_guess_its_type(client: Client) -> None:
    for path in ("/console", "/console/main.js", "/console/settings.json", "/console/none", "/console/"):
        answer = await client.get(path, allow_redirects=False)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path


async def test_the_page_may_connect_where_webtransport_and_other_gateways_are(
    client: Client, around: Surroundings
) -> None:
    around.offer = WebTransportOffer("https://eu.example:4433/v1/stream", ("ab" * 32,))
    around.gateways = ("wss://us.example/v1/stream", "grpcs://us.example", "https://us.example:4433/v1/stream")
    policy = (await client.get("/console")).headers["Content-Security-Policy"]
    sources = "'self' https://eu.example:4433 wss://us.example https://us.example:4433 'unsafe-webtransport-hashes'"
    assert f"connect-src {sources};" in policy


async def test_a_script_is_fetched_once_and_then_asked_for(client: Client) -> None:
    first = await client.get("/console/connection/session.js")
    assert (first.status, first.content_type) == (200, "text/javascript")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await client.get("/console/connection/session.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


async def test_a_tag_of_other_bytes_gets_the_file(client: Client) -> None:
    answer = await client.get("/console/main.js", headers={"If-None-Match": '"0000"'})
    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/console/none.js",
        "/console/console.html",
        "/console/../pages.py",
        "/console/%2e%2e/pages.py",
        "/console//etc/passwd",
    ],
)
async def test_nothing_but_the_files_of_the_page_is_served(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 404


async def test_the_address_with_a_slash_leads_to_the_page(client: Client) -> None:
    answer = await client.get("/console/")
    assert (answer.status, answer.url.path) == (200, "/console")


async def test_the_settings_say_where_sessions_are_opened(client: Client, around: Surroundings) -> None:
    without = await (await client.get("/console/settings.json")).json()
    assert without["webtransport"] is None
    around.offer = WebTransportOffer("https://eu.example:4433/v1/stream", ("ab" * 32, "cd" * 32))
    answer = await client.get("/console/settings.json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert await answer.json() == {
        "region": "eu-1",
        "websocket": {"path": "/v1/stream"},
        "webtransport": {"url": "https://eu.example:4433/v1/stream", "certificate_sha256": ["ab" * 32, "cd" * 32]},
        "limits": {"held_audio_ms": 60_000, "idle_timeout_ms": 30_000, "max_message_bytes": 1_048_576},
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.7:8080", "https://10.0.0.7:4433/v1/stream"),
        ("[fd00::7]:8080", "https://[fd00::7]:4433/v1/stream"),
        ("no host", "https://0.0.0.0:4433/v1/stream"),
    ],
)
async def test_a_gateway_on_every_address_is_offered_at_the_one_the_page_came_from(
    client: Client, around: Surroundings, host: str, expected: str
) -> None:
    around.offer = WebTransportOffer("https://0.0.0.0:4433/v1/stream")
    answer = await client.get("/console/settings.json", headers={"Host": host})
    assert (await answer.json())["webtransport"]["url"] == expected
    page = await client.get("/console", headers={"Host": host})
    assert expected.removesuffix("/v1/stream") in page.headers["Content-Security-Policy"]
