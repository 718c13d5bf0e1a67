"""A signed word on how far a writer's log is, and what it holds up to there."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from policies.residency.record_chain.chain import NotCanonical, canonical

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKPOINT_VERSION = 1
_PREFIX = b"patchbay decision log checkpoint\n"
"""So that no other signature of the key can be shown as one of these."""


class CheckpointKind(StrEnum):
    periodic = "periodic"
    sealed = "sealed"
    """The last one of its file; another file follows."""
    closed = "closed"
    """The last one of its writer, which ended in order."""
    found = "found"
    """A later writer says what was left by one that did not end in order. What was changed before that is not known."""


FINAL = frozenset({CheckpointKind.sealed, CheckpointKind.closed, CheckpointKind.found})


class Seen(msgspec.Struct, frozen=True):
    """How far another writer was when a checkpoint was made: it cannot disappear without being missed."""

    writer: str
    seq: int
    hash: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One of them, and one line of a file of checkpoints.

    Attributes:
        file: number of the file of records. No checkpoint covers records of two files.
        first, seq: covers the records from the first to the last of these; `first` = `seq` + 1: none since the one
            before.
        hash: of the line of `seq`.
        root: of the tree over the lines that are covered (policies.residency.record_chain.merkle).
        ts: Unix milliseconds.
        every: a writer makes a checkpoint at the latest after so many records.
        key_id: of the key that signed; empty: nobody did.
        prev: SHA-256 of the writer's checkpoint before, as a line.
        torn_bytes: of a last line that was not written whole; only in the last one of a file.
        by: the writer that signed, where it is another.
        signature: 128 hexadecimal digits.
    """

    v: int = CHECKPOINT_VERSION
    kind: CheckpointKind
    writer: str
    file: int
    first: int
    seq: int
    hash: str
    root: str
    ts: int
    every: int
    key_id: str = ""
    prev: str
    torn_bytes: int = 0
    by: str = ""
    seen: tuple[Seen, ...] = ()
    signature: str = ""


_as_checkpoint = msgspec.json.Decoder(Checkpoint)


def key_id_of(public_key: bytes) -> str:
    """`public_key`: the 32 bytes of Ed25519. 16 hexadecimal digits of their SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def signed_bytes(checkpoint: Checkpoint) -> bytes:
    return _PREFIX + canonical(msgspec.structs.replace(checkpoint, signature=""))


def signed(checkpoint: Checkpoint, key_id: str, sign: Callable[[bytes], bytes]) -> Checkpoint:
    named = msgspec.structs.replace(checkpoint, key_id=key_id)
    return msgspec.structs.replace(named, signature=sign(signed_bytes(named)).hex())


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """A line, without its end."""
    return canonical(checkpoint)


def decode_checkpoint(line: bytes) -> Checkpoint:
    """Raises NotCanonical."""
    try:
        checkpoint = _as_checkpoint.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotCanonical("it is no checkpoint") from None
    if canonical(checkpoint) != line:
        raise NotCanonical("it is not in canonical form")
    return checkpoint


def signature_of(checkpoint: Checkpoint) -> bytes:
    """Nothing, where it is no hexadecimal text."""
    try:
        return bytes.fromhex(checkpoint.signature)
    except ValueError:
        return b""
