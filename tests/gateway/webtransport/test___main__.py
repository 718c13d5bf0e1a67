"""An edge process by itself: what it is told, what it tells, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from gateway.transports.hop_listener import hop_listening, hop_path
from gateway.transports.websocket import PATH
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.errors import RefusedByStatus
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.edge_settings import connection_ids_of
from gateway.webtransport.quic.reuseport import bind_reuseport
from gateway.wire.stream_messages import TEXT
from tests.harness.waiting import until_true
from tests.harness.webtransport_edge import SECRET, edge_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60.0


@dataclass
class Started:
    process: asyncio.subprocess.Process
    port: int

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            told: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return told

    async def hears(self) -> None:
        """What a gateway says every second."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()

    async def ends(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def started(
    folder: Path, told: bytes | None = None, *, hop: Path | None = None, **changes: object
) -> AsyncIterator[Started]:
    """`changes`: of EdgeSettings."""
    # With core dumps allowed the kernel shows a process's environment to its user, and so to the test.
    settings = edge_settings(folder, hop or folder / "hop.sock").model_copy(update={"core_dumps": True} | changes)
    group = bind_reuseport("127.0.0.1", 0, sockets=1, layout=connection_ids_of(settings.webtransport).layout)
    fd = group.sockets[0].fileno()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.webtransport", "--fd", str(fd)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(fd,),
    )
    assert process.stdin is not None
    process.stdin.write((settings.model_dump_json().encode() if told is None else told) + b"\n")
    await process.stdin.drain()
    try:
        yield Started(process, group.address[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        group.close()


async def test_it_tells_that_it_is_ready_and_then_its_figures_until_it_is_stopped(tmp_path: Path) -> None:
    async with started(tmp_path) as edge:
        ready = await edge.line()
        assert set(ready) == {"certificate_sha256", "is_self_signed"}
        assert ready["is_self_signed"]
        figures = (await edge.line())["figures"]
        assert {"patchbay_webtransport_sessions", "patchbay_quic_connections"} <= {family[0] for family in figures}
        command = await asyncio.to_thread(Path(f"/proc/{edge.process.pid}/cmdline").read_bytes)
        environment = await asyncio.to_thread(Path(f"/proc/{edge.process.pid}/environ").read_bytes)
        assert SECRET.hex().encode() not in command + environment
        edge.process.send_signal(signal.SIGTERM)
        assert await edge.ends() == 0


async def test_it_ends_when_its_standard_input_does(tmp_path: Path) -> None:
    async with started(tmp_path) as edge:
        await edge.line()
        assert edge.process.stdin is not None
        edge.process.stdin.close()
        assert await edge.ends() == 0


async def test_clients_of_a_gateway_that_stands_still_are_sent_elsewhere_until_it_speaks_again(tmp_path: Path) -> None:
    async def speaks(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get(PATH, speaks)
    with hop_path() as hop:
        async with hop_listening(app, hop), started(tmp_path, hop=hop, gateway_silent_s=2) as edge:
            trust = CertificateHash(((await edge.line())["certificate_sha256"],))
            url = f"https://127.0.0.1:{edge.port}{PATH}"

            async def is_let_in() -> bool:
                await edge.hears()
                with contextlib.suppress(RefusedByStatus):
                    async with connect_webtransport(url, trust=trust) as again:
                        return await anext(again.messages()) == (TEXT, b"hello")
                return False

            await until_true(is_let_in, what="a session")
            await edge.hears()
            async with connect_webtransport(url, trust=trust) as session:
                async with asyncio.timeout(DEADLINE_S):
                    said = [json.loads(message) async for _, message in session.messages() if message != b"hello"]
                assert [message["reason"] for message in said] == ["draining"]
                assert session.close_code == 1_012
            with pytest.raises(RefusedByStatus):
                async with connect_webtransport(url, trust=trust):
                    pytest.fail("it lets somebody in")
            await until_true(is_let_in, what="a session, when the gateway speaks again")


async def test_wrong_settings_are_64_and_said_without_their_secrets(tmp_path: Path) -> None:
    told = edge_settings(tmp_path, tmp_path / "hop.sock").model_dump(mode="json") | {"index": -1}
    async with started(tmp_path, json.dumps(told).encode()) as edge:
        assert await edge.ends() == 64
        assert edge.process.stderr is not None
        said = (await edge.process.stderr.read()).decode()
        assert "index" in said
        assert SECRET.hex() not in said
        assert "Traceback" not in said
