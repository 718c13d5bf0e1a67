"""The client's own address behind proxies: what trusted proxies wrote, read from the right. Pure.

Every proxy appends the address that it was connected from. So the last entry was written by whoever connects to us: if
he is trusted, so is what he wrote, and if that names another trusted proxy, so is the entry before it. The first
address that is not a trusted proxy's is the client; everything left of it he could have written himself.

What is no address ends the walk: the client is then the last trusted proxy, which is too narrow for limits and nowhere
on the map, and never somebody of the client's choice.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FORWARDED = "forwarded"
"""RFC 7239; every other header is a list of addresses, as X-Forwarded-For is."""
MAX_HOPS = 32
"""Entries looked at; a longer chain ends at the last of them."""
MAX_LINE_CHARS = 8_192
_MAX_ADDRESS_CHARS = 64

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'\s*({_TOKEN})=(?:({_TOKEN}(?:[:\[\]][!#-+.-:^_`|~0-9A-Za-z\[\]-]*)?)|"((?:[^"\\]|\\.)*)")\s*')
"""One pair of an element. Addresses with a port are met without the quotes that the RFC asks for."""
_ESCAPED = re.compile(r"\\(.)")
_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::([0-9]{1,5}))?")


class TrustedProxies:
    """The networks whose word is taken. IPv4 written as IPv6 counts as IPv4 (RFC 4291 §2.5.5.2)."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Raises ValueError for a text that is no network."""
        self._networks = [_network(text) for text in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)

    def trusts(self, address: str) -> bool:
        parsed = address_of(address)
        return parsed is not None and parsed in self


def client_behind(peer: Address, lines: Sequence[str], trusted: TrustedProxies, *, header: str) -> Address:
    """The client's address.

    Args:
        peer: who is connected to us, and trusted.
        lines: every value of the header, in the order in which they came.
        header: its name; `FORWARDED` has a grammar of its own.
    """
    entries = _forwarded_entries if header.lower() == FORWARDED else _listed_entries
    client = peer
    hops = 0
    for line in reversed(lines):
        for entry in entries(line):
            address = address_of(entry)
            if address is None:
                return client
            client = address
            hops += 1
            if address not in trusted or hops == MAX_HOPS:
                return client
    return client


def address_of(text: str) -> Address | None:
    """An IP address as proxies write it: with or without a port, IPv6 with or without brackets. None for anything else,
    also for an IPv6 address with a zone.
    """
    text = text.strip(" \t")
    if not text or len(text) > _MAX_ADDRESS_CHARS or "%" in text:
        return None
    port: str | None = None
    if text.startswith("["):
        match = _WITH_PORT.fullmatch(text)
        if match is None or ":" not in match[1]:
            return None
        text, port = match[1], match[2]
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not port.isascii() or not port.isdigit() or len(port) > 5:
            return None
    if port is not None and int(port) > 65_535:
        return None
    try:
        return plain(ipaddress.ip_address(text))
    except ValueError:
        return None


def plain(address: Address) -> Address:
    """IPv4 where it is written as IPv6."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    network = ipaddress.ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def _listed_entries(line: str) -> Iterator[str]:
    """From the right. An empty line has none."""
    if not line.strip(" \t"):
        return
    yield from reversed(line[-MAX_LINE_CHARS:].split(","))


def _forwarded_entries(line: str) -> Iterator[str]:
    """The `for` of each element, from the right; an empty text for one that has none or more than one, and for a line
    that is malformed as a whole: a quote that the client left open must not swallow what a proxy appended.
    """
    if not line.strip(" \t"):
        return
    elements = _elements(line) if len(line) <= MAX_LINE_CHARS else None
    if elements is None:
        yield ""
        return
    for pairs in reversed(elements):
        named = [value for name, value in pairs if name == "for"]
        yield named[0] if len(named) == 1 else ""


def _elements(line: str) -> list[list[tuple[str, str]]] | None:
    """RFC 7239 §4; None for a line that is not so."""
    elements: list[list[tuple[str, str]]] = [[]]
    at = 0
    while True:
        match = _PAIR.match(line, at)
        if match is None:
            return None
        value = match[2] if match[3] is None else _ESCAPED.sub(r"\1", match[3])
        elements[-1].append((match[1].lower(), value))
        at = match.end()
        if at == len(line):
            return elements
        if line[at] == ",":
            elements.append([])
        elif line[at] != ";":
            return None
        at += 1
