"""A small DNS server of a test's own, on UDP and loopback: it knows one SRV name, and can fall silent."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

import dns.message
import dns.rcode
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "_engine._tcp.engines.test."


class DnsServer(asyncio.DatagramProtocol):
    """`records`: lines such as `0 10 7001 a.test.`; `rcode`: of all answers. `questions` counts."""

    def __init__(self) -> None:
        self.records: tuple[str, ...] = ()
        self.ttl_s = 0
        self.rcode = dns.rcode.NOERROR
        self.is_silent = False
        self.questions = 0
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions += 1
        if self.is_silent:
            return
        response = dns.message.make_response(dns.message.from_wire(data))
        response.set_rcode(self.rcode)
        if self.records and self.rcode is dns.rcode.NOERROR:
            response.answer.append(dns.rrset.from_text(NAME, self.ttl_s, "IN", "SRV", *self.records))
        self._transport.sendto(response.to_wire(), addr)


@contextlib.asynccontextmanager
async def running_dns_server() -> AsyncIterator[DnsServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(DnsServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
