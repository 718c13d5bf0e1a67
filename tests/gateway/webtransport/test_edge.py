"""An edge as a whole, on a real port: it begins, serves, lets nobody in any more, and ends with a word to each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.dev_certificates import make
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.errors import CannotConnect, RefusedByStatus
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.edge import WebTransportEdge
from gateway.webtransport.edge_settings import connection_ids_of
from gateway.webtransport.quic.certificates import CertificateRejected
from gateway.webtransport.quic.reuseport import bind_reuseport
from gateway.wire.stream_messages import TEXT
from tests.harness.hop_end import HopEnd, hop_and_its_end
from tests.harness.waiting import until
from tests.harness.webtransport_edge import edge_settings

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    from gateway.webtransport.client.session import ClientSession

pytestmark = pytest.mark.integration


class Served:
    """An edge on a port, and who connects to it."""

    def __init__(self, folder: Path, hop: Path) -> None:
        settings = edge_settings(folder, hop)
        self.registry = CollectorRegistry()
        self.edge = WebTransportEdge(settings, self.registry)
        given = settings.webtransport
        self.group = bind_reuseport(given.host, 0, sockets=1, layout=connection_ids_of(given).layout)

    async def start(self) -> None:
        await self.edge.start(self.group.sockets[0])

    def open(self, *, timeout_s: float = 5.0) -> contextlib.AbstractAsyncContextManager[ClientSession]:
        host, port = self.group.address
        trust = CertificateHash((self.edge.certificate_sha256,))
        return connect_webtransport(f"https://{host}:{port}/v1/stream", trust=trust, timeout_s=timeout_s)

    async def close(self) -> None:
        await self.edge.close()
        self.group.close()


async def test_it_serves_drains_and_ends(tmp_path: Path) -> None:
    async with hop_and_its_end() as (hop, end):
        served = Served(tmp_path, hop.path)
        await served.start()
        async with served.open() as session:
            await session.send(TEXT, b"one")
            await until(lambda: end.data == ["one"])
            assert (served.edge.sessions, served.edge.connections) == (1, 1)
            assert served.edge.is_self_signed
            served.edge.drain()
            with pytest.raises((CannotConnect, RefusedByStatus)):
                async with served.open(timeout_s=1.0):
                    pytest.fail("nobody comes in")
            await session.send(TEXT, b"two")
            await until(lambda: end.data == ["one", "two"], what="those who are in to go on")
            closing = asyncio.create_task(served.close())
            heard = [payload async for _, payload in session.messages()]
            assert len(heard) == 1
            assert b"draining" in heard[0]
            assert session.close_code == 1_012
            await closing
        assert served.edge.sessions == 0
        assert _is_left(end)


def _is_left(end: HopEnd) -> bool:
    return end.is_left


async def test_one_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    served = Served(tmp_path, tmp_path / "hop.sock")
    served.edge.drain()
    await served.close()


def test_a_certificate_that_cannot_be_used_is_refused_at_once(tmp_path: Path) -> None:
    settings = edge_settings(tmp_path, tmp_path / "hop.sock")
    other = make(tmp_path / "other")
    settings.webtransport.tls.key_file.write_bytes(other.key_file.read_bytes())
    with pytest.raises(CertificateRejected):
        WebTransportEdge(settings, CollectorRegistry())
