"""A commit point as it is kept in Redis, and as regions tell it each other. Pure.

In Redis it is a hash: `generation` and `tab` as the scripts compare them, `data` the whole point in MessagePack. The
generation in `data` is that of whoever wrote it; the one that counts is the hash's own.
"""

from __future__ import annotations

import msgspec

from gateway.resumption.interface import CommitPoint
from policies.residency.decision import Situation
from policies.residency.vocabulary import DataClass, LegalBasis
from regions.proto import region_pb2 as pb

_FIELDS = tuple(name for name in CommitPoint.__struct_fields__ if name != "situation")
_OF_NOBODY = Situation(profile="?")
"""Told in words that this gateway does not know: no profile has this name, so nothing is permitted to it."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CommitPoint)


def arguments_of(point: CommitPoint, *, ttl_s: int) -> list[bytes]:
    """The arguments of commit.lua."""
    return [
        str(point.generation).encode(),
        point.tab_id.encode(),
        _encoder.encode(without_situation(point)),
        str(ttl_s).encode(),
    ]


def point_of(generation: int, data: bytes) -> CommitPoint | None:
    """What claim.lua answered; None for bytes that are no point of ours."""
    try:
        return msgspec.structs.replace(_decoder.decode(data), generation=generation)
    except msgspec.MsgspecError:
        return None


def encode_point(point: CommitPoint) -> pb.CommitPoint:
    message = pb.CommitPoint(**{name: getattr(point, name) for name in _FIELDS})
    situation = point.situation
    if situation is not None:
        said = message.situation
        said.profile, said.project = situation.profile, situation.project
        said.data_class, said.legal_basis = situation.data_class.value, situation.legal_basis.value
        said.subject_countries.extend(sorted(situation.subject_countries))
        said.has_consent = situation.has_consent
        said.SetInParent()
    return message


def decode_point(message: pb.CommitPoint) -> CommitPoint:
    situation = _situation(message.situation) if message.HasField("situation") else None
    return CommitPoint(**{name: getattr(message, name) for name in _FIELDS}, situation=situation)


def without_situation(point: CommitPoint) -> CommitPoint:
    return point if point.situation is None else msgspec.structs.replace(point, situation=None)


def _situation(message: pb.Situation) -> Situation:
    try:
        data_class, legal_basis = DataClass(message.data_class), LegalBasis(message.legal_basis)
    except ValueError:
        return _OF_NOBODY
    countries = frozenset(message.subject_countries)
    return Situation(message.profile, message.project, data_class, countries, message.has_consent, legal_basis)
