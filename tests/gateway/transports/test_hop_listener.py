"""The gateway's private door: who may open it, and who stands behind a request there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.transports.hop_listener import PEER_HEADER, _as_the_client_asked, hop_listening, hop_path

pytestmark = pytest.mark.integration


async def _who(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade"):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(str(request.remote))
        await socket.close()
        return socket
    return web.Response(text=f"{request.remote} {request.scheme}")


async def test_only_the_user_may_open_it_and_it_is_gone_afterwards() -> None:
    with hop_path() as path:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        async with hop_listening(web.Application(), path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.parent.exists()


def test_its_path_fits_into_the_address_of_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hop_path() as path:
        assert path.is_relative_to(tempfile.gettempdir())
    long = tmp_path / ("a" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with hop_path() as path:
        assert len(str(path)) < 108
        assert not path.is_relative_to(long)


def test_what_a_killed_gateway_left_goes_and_what_a_living_one_has_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned = tmp_path / "patchbay-hop-abandoned"
    abandoned.mkdir()
    (abandoned / "hop.sock").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "patchbay-hop-link").symlink_to(elsewhere)
    with hop_path() as living, hop_path() as another:
        assert living.parent.exists()
        assert another.parent.exists()
        assert not abandoned.exists()
        assert elsewhere.exists()


@pytest.mark.parametrize("before", ["open", "flock"])
def test_a_folder_that_is_taken_for_an_abandoned_one_is_not_used(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    where: Any = {"open": os, "flock": fcntl}[before]
    do = getattr(where, before)
    taken: list[Path] = []

    def do_late(*given: Any) -> Any:
        if not taken:
            taken.extend(tmp_path.iterdir())
            os.rmdir(taken[0])
        return do(*given)

    monkeypatch.setattr(where, before, do_late)
    with hop_path() as path:
        assert path.parent.exists()
        assert path.parent not in taken


async def test_many_may_come_at_once_while_the_gateway_is_busy() -> None:
    with hop_path() as path, contextlib.ExitStack() as waiting:
        async with hop_listening(web.Application(), path):
            for _ in range(300):
                comer = waiting.enter_context(socket.socket(socket.AF_UNIX))
                comer.setblocking(False)
                comer.connect(str(path))  # raises BlockingIOError where no place is left to wait


async def test_the_client_is_who_the_edge_says_and_speaks_https() -> None:
    app = web.Application(middlewares=[_as_the_client_asked])
    app.router.add_get("/who", _who)
    with hop_path() as path:
        async with hop_listening(app, path), aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http:
            headers = {PEER_HEADER: "192.0.2.1"}
            async with http.get("http://gateway/who", headers=headers) as response:
                assert await response.text() == "192.0.2.1 https"
            async with http.get("http://gateway/who") as response:
                assert await response.text() == " https"
            async with http.ws_connect("http://gateway/who", headers=headers) as socket:
                assert (await socket.receive()).data == "192.0.2.1"
