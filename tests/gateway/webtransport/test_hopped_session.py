"""What a session of an edge process keeps while its gateway cannot take it, and what it asks of the gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.webtransport.datagram_lane import LaneRules
from gateway.webtransport.edge_metrics import EdgeMetrics
from gateway.webtransport.hop import Hop, HopLost
from gateway.webtransport.hopped_session import HoppedSession, SessionRules
from gateway.webtransport.interface import ConnectRequest
from gateway.wire.stream_messages import AUDIO, TEXT

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from gateway.webtransport.interface import SessionEvents

pytestmark = pytest.mark.unit

REQUEST = ConnectRequest("CONNECT", "gateway.example", "/v1/stream", (), (), "192.0.2.7", None)


class Client:
    """Implements WebTransportSession: the client of a test."""

    request = REQUEST
    unsent_bytes = 0

    def __init__(self) -> None:
        self.is_paused = False
        self.sent: list[bytes] = []
        self.closed: tuple[int, str] | None = None

    def listen(self, events: SessionEvents) -> None: ...

    def send(self, kind: int, payload: bytes) -> None:
        self.sent.append(payload)

    def send_datagram(self, payload: bytes) -> bool:
        return False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


class SilentHop(Hop):
    """A gateway that does not answer."""

    asked = 0

    async def connect(self, request: ConnectRequest) -> aiohttp.ClientWebSocketResponse[bool]:
        self.asked += 1
        await asyncio.Event().wait()
        raise HopLost


def hopped(client: Client, hop: Hop) -> HoppedSession:
    rules = SessionRules(10_000, LaneRules(reorder_ms=30, reorder_datagrams=8))
    return HoppedSession(client, hop, rules, EdgeMetrics(CollectorRegistry()))


@pytest.mark.parametrize("payload", [b"", bytes(3_200)])
async def test_a_client_is_paused_while_the_gateway_does_not_take_what_it_sends(payload: bytes, tmp_path: Path) -> None:
    client, hop = Client(), SilentHop(tmp_path / "hop")
    session = hopped(client, hop)
    running = asyncio.create_task(session.run())
    session.received(TEXT, b"{}")
    for _ in range(5_000):
        if not client.is_paused:
            session.received(AUDIO, payload)
    assert client.is_paused
    session.closed(None, "")
    await running
    await hop.close()


async def test_a_client_that_leaves_at_once_costs_the_gateway_nothing(tmp_path: Path) -> None:
    client, hop = Client(), SilentHop(tmp_path / "hop")
    session = hopped(client, hop)
    session.closed(0, "")
    async with asyncio.timeout(60):
        await session.run()
    assert hop.asked == 0
    await hop.close()
