"""Audio in datagrams: each says where its samples belong, so that what is lost is known exactly. Pure.

A datagram is a sequence number (four bytes, big-endian, from 0, one more for each), the place of its first sample on
the connection's own clock (eight bytes, in samples at the announced rate, of one channel; 0 is the first sample sent
over this connection), then audio in the announced encoding. A mark (gateway.wire.stream_messages.MARK) is the same
twelve bytes: the next number and the next place.
"""

from __future__ import annotations

import struct

_PLACE = struct.Struct(">IQ")
PLACE_BYTES = _PLACE.size


def encode_datagram(sequence: int, first_sample: int, audio: bytes) -> bytes:
    return _PLACE.pack(sequence, first_sample) + audio


def encode_mark(next_sequence: int, next_sample: int) -> bytes:
    return _PLACE.pack(next_sequence, next_sample)


def decode_place(payload: bytes) -> tuple[int, int]:
    """Sequence number and sample. Raises ValueError: there are no twelve bytes."""
    if len(payload) < PLACE_BYTES:
        raise ValueError(f"{len(payload)} bytes hold no place")
    sequence, sample = _PLACE.unpack_from(payload)
    return sequence, sample
