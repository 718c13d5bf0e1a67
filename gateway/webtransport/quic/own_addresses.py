"""A socket for all addresses of a machine answers from the one that was asked: clients drop answers from another.

Without this the kernel chooses, by the route back: on a machine with several addresses, as with IPv6 nearly every one
has, that is often another one.

Source: Linux ip(7), IP_PKTINFO; ipv6(7), IPV6_RECVPKTINFO, IPV6_PKTINFO; RFC 9000 §9 (clients drop such packets).
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.webtransport.quic.addresses import Address

_IP_PKTINFO = 8
_IPV4 = struct.Struct("=i4s4s")  # struct in_pktinfo: interface, source of an answer, destination in the header
_IPV6 = struct.Struct("=16sI")  # struct in6_pktinfo: destination, interface
_ROOM_BYTES = socket.CMSG_SPACE(_IPV6.size)
_WILDCARDS = ("0.0.0.0", "::")


class OwnAddresses:
    """Reads and writes on a socket that is bound to all addresses. What it reads has a fifth part: where it came to."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._is_ipv6 = sock.family is socket.AF_INET6
        if self._is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def receive(self, size_bytes: int) -> tuple[bytes, Address]:
        data, said, _, where = self._sock.recvmsg(size_bytes, _ROOM_BYTES)
        own = b""
        for level, kind, content in said:
            if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                own = content[:16]
            elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                own = _IPV4.unpack(content)[1]
        host, port, flow, scope = where if self._is_ipv6 else (*where, 0, 0)
        return data, (host, port, flow, scope, own)

    def send(self, data: bytes, address: Address) -> None:
        """Raises OSError."""
        own = address[4] if len(address) == 5 else b""
        where = address[:4] if self._is_ipv6 else address[:2]
        if not own:
            self._sock.sendto(data, where)
        elif self._is_ipv6:
            said = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6.pack(own, 0))
            self._sock.sendmsg((data,), (said,), 0, where)
        else:
            said = (socket.IPPROTO_IP, _IP_PKTINFO, _IPV4.pack(0, own, bytes(4)))
            self._sock.sendmsg((data,), (said,), 0, where)


def own_addresses_of(sock: socket.socket) -> OwnAddresses | None:
    """None: it is bound to one address, from which all answers come anyway."""
    return OwnAddresses(sock) if sock.getsockname()[0] in _WILDCARDS else None
