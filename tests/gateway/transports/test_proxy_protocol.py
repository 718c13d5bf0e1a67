"""The bytes of a PROXY header: what a proxy may send is read, everything else is refused."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transports.proxy_protocol import (
    MAX_BYTES,
    PREFIX_BYTES,
    SIGNATURE,
    MalformedHeader,
    crc32c,
    header_bytes,
    read_header,
)

pytestmark = pytest.mark.unit

LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UDP4, UNIX = 0x11, 0x21, 0x12, 0x31


def header(body: bytes = b"", *, command: int = PROXY, family: int = TCP4, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def addresses(client: str, port: int = 4711) -> bytes:
    packed = ipaddress.ip_address(client).packed
    return packed + bytes(len(packed)) + struct.pack("!HH", port, 443)


def extension(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def with_checksum(body: bytes, *behind: bytes, off_by: int = 0) -> bytes:
    unsigned = header(body + extension(0x03, bytes(4)) + b"".join(behind))
    at = PREFIX_BYTES + len(body) + 3
    return unsigned[:at] + struct.pack("!I", crc32c(unsigned) ^ off_by) + unsigned[at + 4 :]


@pytest.mark.parametrize(
    ("whole", "client"),
    [
        (header(addresses("192.0.2.1")), ("192.0.2.1", 4711)),
        (header(addresses("192.0.2.1", 0), family=UDP4), ("192.0.2.1", 0)),
        (header(addresses("2001:db8::1"), family=TCP6), ("2001:db8::1", 4711)),
        (header(bytes(216), family=UNIX), None),
        (header(command=LOCAL, family=0), None),
        (header(b"whatever it is", command=LOCAL, family=0x77), None),
        (header(b"any", family=0), None),
        (header(addresses("192.0.2.1") + extension(0x02, b"example.com") + extension(0x04, b"")), ("192.0.2.1", 4711)),
        (with_checksum(addresses("192.0.2.1"), extension(0x20, b"ssl")), ("192.0.2.1", 4711)),
    ],
)
def test_the_client_is_who_the_proxy_says(whole: bytes, client: tuple[str, int] | None) -> None:
    assert header_bytes(whole[:PREFIX_BYTES]) == len(whole)
    assert read_header(whole) == client


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        SIGNATURE,
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n",
        b"GET /v1/stream HTTP/1.1\r\n",
        b"\x16\x03\x01" + bytes(40),
        header(addresses("192.0.2.1"), command=0x11),
        header(addresses("192.0.2.1"), command=0x22),
        header(addresses("192.0.2.1"), command=0x2F),
        header(addresses("192.0.2.1"), family=0x13),
        header(addresses("192.0.2.1"), family=0x41),
        header(addresses("192.0.2.1"), family=0x01),
        header(addresses("192.0.2.1")[:-1]),
        header(addresses("192.0.2.1"), family=TCP6),
        header(bytes(215), family=UNIX),
        header(addresses("192.0.2.1"), length=13),
        header(addresses("192.0.2.1"), length=11),
        header(addresses("192.0.2.1") + b"\x02\x00"),
        header(addresses("192.0.2.1") + b"\x02\x00\x05abc"),
        header(addresses("192.0.2.1") + extension(0x03, b"abc")),
        with_checksum(addresses("192.0.2.1"), off_by=1),
    ],
)
def test_what_a_proxy_may_not_send_is_malformed(whole: bytes) -> None:
    with pytest.raises(MalformedHeader):
        read_header(whole)


def test_a_header_that_says_it_is_huge_is_not_waited_for() -> None:
    assert header_bytes(header(length=MAX_BYTES - PREFIX_BYTES)) == MAX_BYTES
    with pytest.raises(MalformedHeader):
        header_bytes(header(length=MAX_BYTES - PREFIX_BYTES + 1))


def test_the_checksum_is_castagnolis() -> None:
    """Source: RFC 3720, appendix B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


_prefixes = st.sampled_from(
    [b"", SIGNATURE, *(SIGNATURE + bytes((c, f)) for c in (LOCAL, PROXY) for f in (TCP4, TCP6, 0))]
)


@given(_prefixes, st.binary(max_size=300))
def test_any_bytes_are_a_header_or_malformed(prefix: bytes, rest: bytes) -> None:
    try:
        client = read_header(prefix + rest)
    except MalformedHeader:
        return
    assert client is None or ipaddress.ip_address(client[0])


@given(
    st.ip_addresses(),
    st.integers(0, 65_535),
    st.lists(st.tuples(st.integers(5, 255), st.binary(max_size=20)), max_size=4),
)
def test_every_client_comes_through_with_any_extensions_behind(
    client: ipaddress.IPv4Address, port: int, extensions: list[tuple[int, bytes]]
) -> None:
    body = addresses(str(client), port) + b"".join(extension(*one) for one in extensions)
    assert read_header(header(body, family=TCP4 if client.version == 4 else TCP6)) == (str(client), port)
