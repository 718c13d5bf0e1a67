"""Turns the bytes of a session's stream, cut anywhere, into messages (gateway.wire.stream_messages). Pure.

It keeps at most one message and copies each byte a constant number of times, whatever the pieces that come. The length
that a header announces takes no memory before the bytes are there.
"""

from __future__ import annotations

from enum import Enum

from gateway.wire.stream_messages import AUDIO, HEADER_BYTES, MARK, TEXT

_KINDS = frozenset({TEXT, AUDIO, MARK})


class Fault(Enum):
    """Why nothing more can be read."""

    unknown_kind = "a message on the stream has a kind that is not known"
    too_large = "a message on the stream is larger than is allowed"


class MessageReader:
    """One stream's state."""

    __slots__ = ("_header", "_kind", "_max_payload_bytes", "_missing", "_payload", "fault")

    def __init__(self, *, max_payload_bytes: int) -> None:
        self.fault: Fault | None = None
        self._max_payload_bytes = max_payload_bytes
        self._header = b""
        self._kind = 0
        self._missing = 0
        self._payload = bytearray()

    @property
    def is_between_messages(self) -> bool:
        """Whether the stream may end here."""
        return not self._header and not self._missing

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Kinds and payloads that are complete now. Those before a fault are among them; after it there are none."""
        missing = self._missing
        if missing > len(data):
            self._payload += data
            self._missing = missing - len(data)
            return []
        found: list[tuple[int, bytes]] = []
        at = 0
        if missing:
            self._payload += data[:missing] if missing < len(data) else data
            found.append((self._kind, bytes(self._payload)))
            self._payload = bytearray()
            self._missing = 0
            at = missing
        if at < len(data) and self.fault is None:
            self._read(data, at, found)
        return found

    def _read(self, data: bytes, at: int, found: list[tuple[int, bytes]]) -> None:
        """From where a header begins, or goes on."""
        if self._header:
            data = self._header + data[at:]
            at = 0
        end = len(data)
        while end - at >= HEADER_BYTES:
            kind = data[at]
            length = int.from_bytes(data[at + 1 : at + HEADER_BYTES], "big")
            if kind not in _KINDS:
                self.fault = Fault.unknown_kind
            elif length > self._max_payload_bytes:
                self.fault = Fault.too_large
            if self.fault is not None:
                self._header = b""
                return
            at += HEADER_BYTES
            if end - at < length:
                self._header = b""
                self._kind = kind
                self._payload += data[at:]
                self._missing = length - (end - at)
                return
            found.append((kind, data[at : at + length]))
            at += length
        self._header = data[at:]
