"""The header of the PROXY protocol, version 2: who is connected to the proxy that is connected to us. Pure.

`header_bytes` says from the first 16 bytes how long the whole is, so that nothing behind it is read; `read_header`
gives the client or raises MalformedHeader. Version 1, which is text, is malformed here.

Source: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, §2.2.
"""

from __future__ import annotations

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
PREFIX_BYTES = 16
MAX_BYTES = 4_096
"""Proxies put certificates' names and the like behind the addresses; whole headers have a few hundred bytes."""

_PREFIX = struct.Struct("!12sBBH")
_TLV = struct.Struct("!BH")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED = 0x00
_PACKED_BYTES = {0x11: 4, 0x12: 4, 0x21: 16, 0x22: 16}
"""TCP and UDP over IPv4 and IPv6: bytes of an address."""
_UNIX_BYTES = 216
_FAMILIES = frozenset({_UNSPECIFIED, 0x31, 0x32, *_PACKED_BYTES})
_CRC32C = 0x03
_CASTAGNOLI = 0x82F63B78
"""RFC 3720, reflected."""

Client = tuple[str, int]
"""Address and port."""


class MalformedHeader(Exception):
    """The bytes are no header that a proxy may send."""


def header_bytes(prefix: bytes) -> int:
    """The length of the whole header, from its first 16 bytes. Raises MalformedHeader."""
    _, _, _, following = _split(prefix)
    whole = PREFIX_BYTES + following
    if whole > MAX_BYTES:
        raise MalformedHeader(f"a header of {whole} bytes")
    return whole


def read_header(header: bytes) -> Client | None:
    """The client of the proxy; None where the connection is the proxy's own, or of a kind that has no IP address.

    Raises:
        MalformedHeader
    """
    _, command, family, following = _split(header)
    body = header[PREFIX_BYTES:]
    if len(body) != following:
        raise MalformedHeader("it is longer or shorter than it says")
    if command == _LOCAL:
        return None
    if family == _UNSPECIFIED:
        return None
    packed = _PACKED_BYTES.get(family)
    addresses = _UNIX_BYTES if packed is None else 2 * packed + 4
    if len(body) < addresses:
        raise MalformedHeader("it is too short for its addresses")
    _check_extensions(header, PREFIX_BYTES + addresses)
    if packed is None:
        return None
    (port,) = struct.unpack_from("!H", body, 2 * packed)
    return str(ipaddress.ip_address(body[:packed])), port


def _split(header: bytes) -> tuple[bytes, int, int, int]:
    if len(header) < PREFIX_BYTES:
        raise MalformedHeader("it is too short")
    signature, command, family, following = _PREFIX.unpack_from(header)
    if signature != SIGNATURE:
        raise MalformedHeader("it does not begin as version 2 does")
    if command not in (_LOCAL, _PROXY):
        raise MalformedHeader("no such version and command")
    if command == _PROXY and family not in _FAMILIES:
        raise MalformedHeader("no such family and transport")
    return signature, command, family, following


def _check_extensions(header: bytes, at: int) -> None:
    """They must fill the rest, and a checksum among them must be right; all others are passed over."""
    while at < len(header):
        if len(header) - at < _TLV.size:
            raise MalformedHeader("an extension is cut off")
        kind, length = _TLV.unpack_from(header, at)
        at += _TLV.size
        if len(header) - at < length:
            raise MalformedHeader("an extension is cut off")
        if kind == _CRC32C:
            without = header[:at] + bytes(length) + header[at + length :]
            if length != 4 or int.from_bytes(header[at : at + 4], "big") != crc32c(without):
                raise MalformedHeader("its checksum is wrong")
        at += length


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
