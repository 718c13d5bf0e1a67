"""Messages on a stream of bytes, as WebTransport carries the native protocol. Pure.

Each is a header of four bytes, then its payload: the kind in the first byte, the payload's length in the other three,
big-endian. A stream ends between messages.
"""

from __future__ import annotations

TEXT = 1
"""A message of the protocol as JSON, in UTF-8."""
AUDIO = 2
"""Bytes of audio in the announced encoding."""
MARK = 3
"""Where the datagrams sent so far end: gateway.wire.audio_datagrams. From clients that send audio in datagrams, before
each text message that follows audio.
"""

HEADER_BYTES = 4
MAX_PAYLOAD_BYTES = (1 << 24) - 1


def encode(kind: int, payload: bytes) -> bytes:
    """Raises ValueError: the payload is too long for its length to be written."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"{len(payload)} bytes are more than a message can hold")
    return ((kind << 24) | len(payload)).to_bytes(HEADER_BYTES, "big") + payload
