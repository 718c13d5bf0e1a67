"""A commit point as it is kept in Redis, and as regions tell it each other. Pure.

In Redis it is a hash: `generation` and `tab` as the scripts compare them, `data` the whole point in MessagePack. The
generation in `data` is that of whoever wrote it; the one that counts is the hash's own.
"""

from __future__ import annotations

import msgspec

from gateway.resumption.interface import CommitPoint
from regions.proto import region_pb2 as pb

_FIELDS = CommitPoint.__struct_fields__
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CommitPoint)


def arguments_of(point: CommitPoint, *, ttl_s: int) -> list[bytes]:
    """The arguments of commit.lua."""
    return [str(point.generation).encode(), point.tab_id.encode(), _encoder.encode(point), str(ttl_s).encode()]


def point_of(generation: int, data: bytes) -> CommitPoint | None:
    """What claim.lua answered; None for bytes that are no point of ours."""
    try:
        return msgspec.structs.replace(_decoder.decode(data), generation=generation)
    except msgspec.MsgspecError:
        return None


def encode_point(point: CommitPoint) -> pb.CommitPoint:
    return pb.CommitPoint(**{name: getattr(point, name) for name in _FIELDS})


def decode_point(message: pb.CommitPoint) -> CommitPoint:
    return CommitPoint(**{name: getattr(message, name) for name in _FIELDS})
