"""Addresses of clients as sockets give them, and what counts as one client."""

from __future__ import annotations

from typing import TypeAlias

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[str, int, int, int, bytes]
"""As `socket.recvfrom` returns it; IPv6 with flow and scope. With a fifth part: see own_addresses.py."""

_IPV4_MAPPED = "::ffff:"
_GROUPS, _NETWORK_GROUPS = 8, 4


def plain_host(address: Address) -> str:
    """The IP address, without the prefix that a socket for both families puts before IPv4."""
    host = address[0]
    return host[len(_IPV4_MAPPED) :] if host.startswith(_IPV4_MAPPED) else host


def network_of(address: Address) -> str:
    """What is counted as one client: an IPv4 address, or the /64 of an IPv6 address."""
    host = plain_host(address)
    if ":" not in host:
        return host
    head, gap, tail = host.partition("::")
    groups = head.split(":") if head else []
    if gap:
        groups += ["0"] * (_GROUPS - len(groups) - len(tail.split(":"))) + tail.split(":")
    return ":".join(groups[:_NETWORK_GROUPS])
