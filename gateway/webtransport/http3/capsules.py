"""Capsules on the stream of a CONNECT (RFC 9297 §3): how a session ends, and the limits of the newer drafts. Pure.

    capsule = type (varint) length (varint) payload

A capsule of a type that we do not read is passed over as it comes, without being kept. Datagrams as capsules are such:
they travel in QUIC's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from aioquic._buffer import Buffer, BufferReadError
from aioquic.buffer import encode_uint_var

CLOSE = 0x2843
DRAIN = 0x78AE
MAX_DATA = 0x190B4D3D
MAX_STREAMS_BIDI = 0x190B4D3F
MAX_STREAMS_UNI = 0x190B4D40
DATA_BLOCKED = 0x190B4D41
STREAMS_BLOCKED_BIDI = 0x190B4D43
STREAMS_BLOCKED_UNI = 0x190B4D44

LIMITS = frozenset(
    {MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI, DATA_BLOCKED, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI}
)

MAX_REASON_BYTES = 1_024
"""draft-ietf-webtrans-http3 §6."""
HIGHEST_LIMIT = 1 << 60
"""The highest number of streams that can be allowed (§5.6.2); for bytes we say the same."""

MAX_SKIPPED_BYTES = 65_536
"""The longest capsule that is passed over."""
MAX_CAPSULES = 65_536
"""In the life of a session: each costs some microseconds, and two bytes are enough for one."""

_CODE_BYTES = 4
_VARINT_BYTES = 8
_SIZE_OF_FIRST_BYTE = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class CloseCapsule:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class DrainCapsule:
    """The other side would like the session to end soon."""


@dataclass(frozen=True, slots=True)
class LimitCapsule:
    """`kind`: one of LIMITS. `value`: streams or bytes, since the session began."""

    kind: int
    value: int


Capsule = CloseCapsule | DrainCapsule | LimitCapsule


def encode_close(code: int, reason: str) -> bytes:
    """Args:
    code: any u32.
    reason: cut between characters to MAX_REASON_BYTES.
    """
    text = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return _encode(CLOSE, code.to_bytes(_CODE_BYTES, "big") + text)


def encode_drain() -> bytes:
    return _encode(DRAIN, b"")


def encode_limit(kind: int, value: int) -> bytes:
    return _encode(kind, encode_uint_var(value))


class CapsuleReader:
    """Turns the bytes of a stream, cut anywhere, into capsules. Keeps at most one that it knows: 1,028 bytes."""

    def __init__(self) -> None:
        self.fault: str | None = None
        """What is wrong with what came, for its sender. Nothing is read after it."""
        self._header = bytearray()
        self._kind = 0
        self._payload: bytearray | None = None
        self._missing = 0
        self._skipping = 0
        self._count = 0

    def feed(self, data: bytes) -> list[Capsule]:
        """What is complete now. Capsules before a fault are among them."""
        found: list[Capsule] = []
        at = 0
        while at < len(data) and self.fault is None:
            if self._skipping:
                skipped = min(self._skipping, len(data) - at)
                self._skipping -= skipped
                at += skipped
            elif self._payload is not None:
                taken = data[at : at + self._missing]
                self._payload += taken
                self._missing -= len(taken)
                at += len(taken)
            else:
                at = self._take_header(data, at)
            if self._payload is not None and not self._missing:
                self._take_payload(bytes(self._payload), found)
                self._payload = None
        return found

    def _take_header(self, data: bytes, at: int) -> int:
        """Where the header ended, or the end of the data. Two varints are at most sixteen bytes."""
        header = self._header
        while at < len(data):
            header.append(data[at])
            at += 1
            kind_bytes = _SIZE_OF_FIRST_BYTE[header[0] >> 6]
            if len(header) <= kind_bytes or len(header) < kind_bytes + _SIZE_OF_FIRST_BYTE[header[kind_bytes] >> 6]:
                continue
            buffer = Buffer(data=bytes(header))
            self._begin(buffer.pull_uint_var(), buffer.pull_uint_var())
            header.clear()
            break
        return at

    def _begin(self, kind: int, length: int) -> None:
        self._count += 1
        if self._count > MAX_CAPSULES:
            self.fault = f"more than {MAX_CAPSULES} capsules came"
        elif kind == CLOSE and not _CODE_BYTES <= length <= _CODE_BYTES + MAX_REASON_BYTES:
            self.fault = f"a capsule that closes the session holds a code and at most {MAX_REASON_BYTES} bytes of text"
        elif (kind == DRAIN and length) or (kind in LIMITS and not 1 <= length <= _VARINT_BYTES):
            self.fault = f"a capsule of type {kind:#x} has a wrong length, {length}"
        elif kind in (CLOSE, DRAIN) or kind in LIMITS:
            self._kind, self._payload, self._missing = kind, bytearray(), length
        elif length > MAX_SKIPPED_BYTES:
            self.fault = f"a capsule of an unknown type is longer than {MAX_SKIPPED_BYTES} bytes"
        else:
            self._skipping = length

    def _take_payload(self, payload: bytes, found: list[Capsule]) -> None:
        if self._kind == DRAIN:
            found.append(DrainCapsule())
        elif self._kind == CLOSE:
            try:
                found.append(CloseCapsule(int.from_bytes(payload[:_CODE_BYTES], "big"), payload[_CODE_BYTES:].decode()))
            except UnicodeDecodeError:
                self.fault = "the reason of a capsule that closes the session is not UTF-8"
        else:
            self._take_limit(payload, found)

    def _take_limit(self, payload: bytes, found: list[Capsule]) -> None:
        buffer = Buffer(data=payload)
        try:
            value = buffer.pull_uint_var()
        except BufferReadError:
            value = -1
        if value < 0 or not buffer.eof():
            self.fault = f"a capsule of type {self._kind:#x} holds no single number"
            return
        found.append(LimitCapsule(self._kind, value))


def _encode(kind: int, payload: bytes) -> bytes:
    return encode_uint_var(kind) + encode_uint_var(len(payload)) + payload
