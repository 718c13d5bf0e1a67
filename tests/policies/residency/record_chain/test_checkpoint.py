from __future__ import annotations

import msgspec
import pytest

from policies.residency.record_chain.chain import ZERO_HASH, NotCanonical
from policies.residency.record_chain.checkpoint import (
    Checkpoint,
    CheckpointKind,
    Seen,
    decode_checkpoint,
    encode_checkpoint,
    key_id_of,
    signature_of,
    signed,
    signed_bytes,
)

pytestmark = pytest.mark.unit

MADE = Checkpoint(
    kind=CheckpointKind.periodic,
    writer="eu-1/0123456789abcdef",
    file=1,
    first=0,
    seq=9,
    hash="a" * 64,
    root="b" * 64,
    ts=1,
    every=10,
    prev=ZERO_HASH,
    seen=(Seen("eu-2/0123456789abcdef", 4, "c" * 64),),
)


def test_a_checkpoint_comes_back_from_its_line() -> None:
    assert decode_checkpoint(encode_checkpoint(MADE)) == MADE


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", encode_checkpoint(MADE) + b" ", b"[" * 2_000])
def test_what_is_no_checkpoint_is_refused(line: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode_checkpoint(line)


def test_the_signature_covers_everything_but_itself_and_is_of_nothing_else() -> None:
    asked: list[bytes] = []

    def sign(message: bytes) -> bytes:
        asked.append(message)
        return b"s" * 64

    made = signed(MADE, "0011223344556677", sign)
    assert made.key_id == "0011223344556677"
    assert signature_of(made) == b"s" * 64
    assert asked == [signed_bytes(made)]
    assert asked[0].startswith(b"patchbay decision log checkpoint\n")
    for changed in ({"seq": 8}, {"kind": CheckpointKind.closed}, {"seen": ()}, {"torn_bytes": 1}, {"key_id": ""}):
        assert signed_bytes(msgspec.structs.replace(made, **changed)) != asked[0]


def test_a_signature_that_is_no_hexadecimal_text_is_none() -> None:
    assert signature_of(msgspec.structs.replace(MADE, signature="zz")) == b""


def test_a_key_is_known_by_its_digest() -> None:
    assert key_id_of(b"\0" * 32) == "66687aadf862bd77"
