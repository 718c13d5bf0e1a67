"""A link for UDP: what it carries, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from regions.lab.conditions import Conditions
from regions.lab.udp_relay import UdpLink
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

PERFECT = Conditions()
PACKETS = [str(number).encode() for number in range(60)]


class Echo(asyncio.DatagramProtocol):
    """Answers what it gets, and keeps it with where it came from."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.senders: list[Any] = []
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append(data)
        self.senders.append(addr)
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        del addr
        self.heard.append(data)


@contextlib.asynccontextmanager
async def linked(conditions: Conditions = PERFECT) -> AsyncIterator[tuple[UdpLink, Echo, Client, Any]]:
    loop = asyncio.get_running_loop()
    served, echo = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    link = UdpLink("127.0.10.2", conditions, seed=1)
    await link.start()
    link.aim("127.0.0.1", served.get_extra_info("sockname")[1])
    client_side, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.10.2", link.port))
    try:
        yield link, echo, client, client_side
    finally:
        client_side.close()
        await link.stop()
        served.close()


async def test_packets_go_both_ways_in_their_order() -> None:
    async with linked(Conditions(delay_ms=2, jitter_ms=5)) as (link, echo, client, transport):
        for packet in PACKETS:
            transport.sendto(packet)
        await until(lambda: len(client.heard) == len(PACKETS), what="all answers")
        assert echo.got == client.heard == PACKETS
        assert link.lost == 0
        assert link.figures()["p99_ms"] >= 0


async def test_what_is_lost_is_gone_and_nothing_waits_for_it() -> None:
    async with linked(Conditions(loss_permille=300)) as (link, echo, client, transport):
        for packet in PACKETS:
            transport.sendto(packet)
        await until(lambda: len(client.heard) + link.lost == len(PACKETS), what="every packet's fate")
        assert 5 <= link.lost <= 55
        assert set(client.heard) <= set(echo.got) <= set(PACKETS)


async def test_a_dark_link_swallows_for_good() -> None:
    async with linked() as (link, echo, client, transport):
        link.darken()
        transport.sendto(b"swallowed")
        await until(lambda: link.lost == 1, what="the packet's fate")
        link.light()
        transport.sendto(b"carried")
        await until(lambda: bool(client.heard), what="an answer")
        assert echo.got == client.heard == [b"carried"]


async def test_a_router_that_forgets_gives_a_client_another_port_and_a_new_aim_another_server() -> None:
    async with linked() as (link, echo, client, transport):
        transport.sendto(b"one")
        await until(lambda: len(client.heard) == 1, what="the first answer")
        link.reset()
        transport.sendto(b"two")
        await until(lambda: len(client.heard) == 2, what="the second answer")
        assert len(set(echo.senders)) == 2
        served, other = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        link.aim("127.0.0.1", served.get_extra_info("sockname")[1])
        transport.sendto(b"three")
        await until(lambda: len(client.heard) == 3, what="the third answer")
        assert (other.got, len(echo.got)) == ([b"three"], 2)
        served.close()
