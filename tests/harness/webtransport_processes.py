"""The edge processes of a gateway, real ones, and behind them a stand-in for it that says `hello` to each session."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.dev_certificates import create_or_renew
from gateway.transports.hop_listener import PEER_HEADER, hop_listening, hop_path
from gateway.transports.settings import TlsSettings
from gateway.transports.websocket import PATH
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.processes import EdgeGiven, EdgeProcesses
from gateway.webtransport.settings import WebTransportSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.webtransport.client.session import ClientSession

HELLO = b"hello"


@dataclass
class Processes:
    """`heard`: what clients said, by nobody in particular. `peers`: their addresses, as the edge told them."""

    edges: EdgeProcesses
    registry: CollectorRegistry
    heard: list[bytes] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)

    def open(self) -> contextlib.AbstractAsyncContextManager[ClientSession]:
        trust = CertificateHash((self.edges.certificate_sha256,))
        return connect_webtransport(self.edges.url, trust=trust)

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.peers.append(request.headers[PEER_HEADER])
        await socket.send_str(HELLO.decode())
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.heard.append(message.data.encode())
                if message.data == "bye":
                    await socket.close(code=4_444, message=b"as asked")
        return socket


@contextlib.asynccontextmanager
async def edge_processes(folder: Path, *, silent_s: float = 20.0, **changes: Any) -> AsyncIterator[Processes]:
    """`changes`: of WebTransportSettings."""
    pair = create_or_renew(folder)
    tls = TlsSettings(certificate_file=pair.certificate_file, key_file=pair.key_file)
    named: dict[str, Any] = {"port": 0, "tls": tls}
    settings = WebTransportSettings(**(named | changes))
    with hop_path() as path:
        given = EdgeGiven(path, max_message_bytes=65_536, log_level="info", core_dumps=False, silent_s=silent_s)
        registry = CollectorRegistry()
        processes = Processes(EdgeProcesses(settings, given, registry), registry)
        app = web.Application()
        app.router.add_get(PATH, processes.handle)
        async with hop_listening(app, path):
            await processes.edges.start()
            running = asyncio.create_task(processes.edges.run())
            try:
                yield processes
            finally:
                await processes.edges.stop()
                await running
