"""A WebTransport edge in the test's own process, on a real hop and a real UDP port, beside a gateway's reception."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from gateway.dev_certificates import create_or_renew
from gateway.transports import regions_http
from gateway.transports.hop_listener import hop_application, hop_listening, hop_path
from gateway.transports.settings import TlsSettings
from gateway.transports.websocket import PATH
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.edge import WebTransportEdge
from gateway.webtransport.edge_settings import EdgeSettings, connection_ids_of
from gateway.webtransport.interface import Draft
from gateway.webtransport.quic.reuseport import bind_reuseport
from gateway.webtransport.settings import WebTransportSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.reception import Reception
    from gateway.webtransport.client.session import ClientSession

SECRET = bytes(range(32))


@dataclass
class EdgeBeside:
    """Where it is, and its parts for a test to look at. `hop`: closes the gateway's end of it."""

    url: str
    certificate_sha256: str
    edge: WebTransportEdge
    registry: CollectorRegistry
    hop: contextlib.AsyncExitStack

    async def cut_hop(self) -> None:
        """As if the gateway were killed."""
        await self.hop.aclose()

    def open(
        self, headers: Mapping[str, str] | None = None, *, query: str = "", draft: Draft = Draft.draft02
    ) -> contextlib.AbstractAsyncContextManager[ClientSession]:
        """A session of a client that knows the certificate."""
        trust = CertificateHash((self.certificate_sha256,))
        return connect_webtransport(f"{self.url}{query}", headers=headers or {}, trust=trust, draft=draft)


def edge_settings(folder: Path, hop: Path, *, max_message_bytes: int = 1_048_576, **changes: Any) -> EdgeSettings:
    """With a development certificate that is kept in the folder."""
    pair = create_or_renew(folder)
    return EdgeSettings(
        index=0,
        hop=hop,
        secret_hex=SECRET.hex(),
        webtransport=WebTransportSettings(
            port=0,
            tls=TlsSettings(certificate_file=pair.certificate_file, key_file=pair.key_file),
            **changes,
        ),
        max_message_bytes=max_message_bytes,
    )


@contextlib.asynccontextmanager
async def edge_beside(reception: Reception, folder: Path, **changes: Any) -> AsyncIterator[EdgeBeside]:
    """`folder`: of its certificate; a later edge with the same has the same. `changes`: of WebTransportSettings."""
    app = hop_application(reception)
    app.router.add_get(regions_http.PATH, regions_http.RegionsHttp(reception).handle)
    with hop_path() as path:
        settings = edge_settings(folder, path, max_message_bytes=reception.sessions.max_message_bytes, **changes)
        async with contextlib.AsyncExitStack() as hop, edge_running(settings) as (edge, registry, port):
            await hop.enter_async_context(hop_listening(app, path))
            url = f"https://127.0.0.1:{port}{PATH}"
            yield EdgeBeside(url, edge.certificate_sha256, edge, registry, hop)


@contextlib.asynccontextmanager
async def edge_running(settings: EdgeSettings) -> AsyncIterator[tuple[WebTransportEdge, CollectorRegistry, int]]:
    """On a port that is free."""
    given = settings.webtransport
    group = bind_reuseport(given.host, given.port, sockets=1, layout=connection_ids_of(given).layout)
    registry = CollectorRegistry()
    edge = WebTransportEdge(settings, registry)
    await edge.start(group.sockets[0])
    try:
        yield edge, registry, group.address[1]
    finally:
        await edge.close()
        group.close()
