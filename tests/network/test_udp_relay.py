"""The relay that the other tests trust: it does what it says, and says what it did."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.udp_relay import Fate, UdpRelay, Way
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

NUM_PACKETS = 150
"""Few enough for the buffer of a socket that nobody reads yet."""


class Sink(asyncio.DatagramProtocol):
    """Keeps what it gets and from where, and answers with it."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Any]] = []
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append((data, addr))
        self.transport.sendto(data, addr)


class Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        del addr
        self.heard.append(data)


async def ask(relay: UdpRelay, packets: list[bytes], *, is_over: Callable[[], bool]) -> list[bytes]:
    loop = asyncio.get_running_loop()
    transport, asker = await loop.create_datagram_endpoint(Asker, remote_addr=("127.0.0.1", relay.port))
    for packet in packets:
        transport.sendto(packet)
    await until(is_over, what="the packets")
    transport.close()
    return asker.heard


async def test_the_log_says_of_every_packet_what_became_of_it() -> None:
    loop = asyncio.get_running_loop()
    transport, sink = await loop.create_datagram_endpoint(Sink, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    packets = [str(number).encode() for number in range(NUM_PACKETS)]
    way = Way(delay_ms=5, jitter_ms=2, loss=0.1, duplicate=0.1, reorder=0.1)
    async with UdpRelay(port, there=way, seed=3) as relay:

        def is_over() -> bool:
            return len(relay.there.log) == NUM_PACKETS and len(sink.got) == sum(
                passage.copies for passage in relay.there.log
            )

        await ask(relay, packets, is_over=is_over)
        lost = relay.there.packets(Fate.lost)
        got = [data for data, _ in sink.got]
        assert 5 <= len(lost) <= 30
        assert set(got) == set(packets) - set(lost)
        assert len(got) > len(set(got))
        assert got != sorted(got, key=int)
        assert len(relay.late_ms) >= len(got)
        seen_before = {address for _, address in sink.got}
        relay.rebind()
        relay.there.way = Way()
        del sink.got[:]
        await ask(relay, [b"new"], is_over=lambda: bool(sink.got))
        assert sink.got[0][1] not in seen_before
        relay.swallow()
        await ask(relay, [b"silence"], is_over=lambda: relay.there.packets(Fate.swallowed) == [b"silence"])
        assert len(sink.got) == 1
    transport.close()
