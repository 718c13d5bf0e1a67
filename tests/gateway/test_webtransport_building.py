"""What is wrong with settings of WebTransport is known before anything starts, and browsers hear where it is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from gateway.dev_certificates import create_or_renew
from gateway.settings import GatewaySettings, validate
from gateway.webtransport.settings import WebTransportSettings
from gateway.webtransport_building import advertise, edge_processes, mistakes_of

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.webtransport.processes import EdgeProcesses

pytestmark = pytest.mark.integration


def section(folder: Path, **more: Any) -> dict[str, Any]:
    pair = create_or_renew(folder)
    return {"tls": {"certificate_file": str(pair.certificate_file), "key_file": str(pair.key_file)}, **more}


def settings_with(webtransport: dict[str, Any] | None) -> GatewaySettings:
    issuer = {"issuer": "i", "audience": "a", "algorithms": ["RS256"], "jwks_url": "https://i.example"}
    return validate(
        {
            "engines": {"addresses": ["unix:engine.sock"]},
            "tokens": {"issuers": [issuer]},
            "webtransport": webtransport,
        }
    )


def edges_of(folder: Path, stack: contextlib.ExitStack, **more: Any) -> EdgeProcesses:
    edges = edge_processes(settings_with(section(folder, **more)), CollectorRegistry(), stack)
    assert edges is not None
    return edges


async def alt_svc(edges: EdgeProcesses) -> str | None:
    """What an answer says."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="page")

    app = web.Application()
    app.router.add_get("/", page)
    advertise(app, edges)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        return response.headers.get("Alt-Svc")


def test_good_settings_have_no_mistakes(tmp_path: Path) -> None:
    assert mistakes_of(WebTransportSettings.model_validate(section(tmp_path))) == []


def test_every_mistake_is_named_with_its_place(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("short")
    wrong = WebTransportSettings.model_validate(
        {
            "tls": {"certificate_file": broken, "key_file": broken},
            "secret_file": broken,
            "connection_ids": {"scheme": "nlb", "server_id": "01"},
        }
    )
    assert [mistake.partition(": ")[0] for mistake in mistakes_of(wrong)] == [
        "webtransport.tls",
        "webtransport.connection_ids",
        "webtransport.secret_file",
    ]


def test_without_the_section_there_is_nothing() -> None:
    with contextlib.ExitStack() as stack:
        assert edge_processes(settings_with(None), CollectorRegistry(), stack) is None


def test_the_hop_is_in_a_folder_that_is_gone_with_the_gateway(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        hop = edges_of(tmp_path, stack).hop
        assert hop.parent.is_dir()
    assert not hop.parent.exists()


async def test_answers_name_the_port_of_http3_where_it_is_wanted(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        assert await alt_svc(edges_of(tmp_path, stack, advertised_port=443)) == 'h3=":443"; ma=3600'
        assert await alt_svc(edges_of(tmp_path, stack, advertised_port=443, advertise=False)) is None
        assert await alt_svc(edges_of(tmp_path, stack)) is None, "nobody listens yet"


def test_clients_are_told_the_public_address_or_where_it_listens(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        public = "https://speech.example/v1/stream"
        assert edges_of(tmp_path, stack, public_url=public).url == public
        assert edges_of(tmp_path, stack, host="::1").url == "https://[::1]:0/v1/stream"
