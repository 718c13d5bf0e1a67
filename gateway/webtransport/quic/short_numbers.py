"""Numbers of QUIC packets, read and written without a buffer of the library."""

from __future__ import annotations


def packet_number(truncated: int, bits: int, expected: int) -> int:
    """RFC 9000 §A.3."""
    window = 1 << bits
    candidate = expected & ~(window - 1) | truncated
    if candidate <= expected - window // 2 and candidate < (1 << 62) - window:
        return candidate + window
    if candidate > expected + window // 2 and candidate >= window:
        return candidate - window
    return candidate


def varint(payload: bytes, at: int) -> tuple[int, int]:
    """The number and the place after it (RFC 9000 §16). Raises IndexError where it ends too early."""
    first = payload[at]
    if first < 0x40:
        return first, at + 1
    if first < 0x80:
        return (first & 0x3F) << 8 | payload[at + 1], at + 2
    size = 1 << (first >> 6)
    end = at + size
    if end > len(payload):
        raise IndexError
    return int.from_bytes(payload[at:end], "big") & (1 << size * 8 - 2) - 1, end


def encoded(number: int) -> bytes:
    if number < 0x40:
        return bytes((number,))
    if number < 0x4000:
        return (number | 0x4000).to_bytes(2, "big")
    if number < 0x40000000:
        return (number | 0x80000000).to_bytes(4, "big")
    return (number | 0xC000000000000000).to_bytes(8, "big")
