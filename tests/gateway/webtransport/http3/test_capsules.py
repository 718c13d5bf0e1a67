from __future__ import annotations

import itertools

import pytest
from aioquic.buffer import encode_uint_var
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.http3 import capsules
from gateway.webtransport.http3.capsules import Capsule, CapsuleReader, CloseCapsule, DrainCapsule, LimitCapsule

pytestmark = pytest.mark.unit

REASONS = st.text(max_size=200).filter(lambda text: len(text.encode("utf-8", "replace")) <= capsules.MAX_REASON_BYTES)
KNOWN = (
    st.builds(CloseCapsule, st.integers(0, 0xFFFFFFFF), REASONS)
    | st.just(DrainCapsule())
    | st.builds(LimitCapsule, st.sampled_from(sorted(capsules.LIMITS)), st.integers(0, (1 << 62) - 1))
)
UNKNOWN = st.tuples(
    st.integers(0, (1 << 62) - 1).filter(
        lambda kind: kind not in {*capsules.LIMITS, capsules.CLOSE, capsules.DRAIN},
    ),
    st.binary(max_size=80),
)


def encoded(capsule: Capsule | tuple[int, bytes]) -> bytes:
    match capsule:
        case CloseCapsule(code, reason):
            return capsules.encode_close(code, reason)
        case DrainCapsule():
            return capsules.encode_drain()
        case LimitCapsule(kind, value):
            return capsules.encode_limit(kind, value)
        case (kind, payload):
            return encode_uint_var(kind) + encode_uint_var(len(payload)) + payload


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(at)]


@given(st.lists(KNOWN | UNKNOWN, max_size=8), st.lists(st.integers(0, 10_000), max_size=12))
def test_capsules_arrive_whatever_the_cuts_and_what_stands_between_them(
    sent: list[Capsule | tuple[int, bytes]], cuts: list[int]
) -> None:
    reader = CapsuleReader()
    stream = b"".join(encoded(each) for each in sent)
    found = [capsule for piece in pieces(stream, cuts) for capsule in reader.feed(piece)]
    assert found == [each for each in sent if not isinstance(each, tuple)]
    assert reader.fault is None


@given(st.lists(st.binary(max_size=64), max_size=30))
def test_any_bytes_give_capsules_or_a_fault_within_bounded_memory(parts: list[bytes]) -> None:
    reader = CapsuleReader()
    for part in parts:
        reader.feed(part)
        kept = len(reader._header) + len(reader._payload or b"")
        assert kept <= 16 + 4 + capsules.MAX_REASON_BYTES
    if reader.fault is not None:
        assert reader.feed(b"\x00\x00" * 50) == []


def test_a_capsule_is_found_once_it_is_whole() -> None:
    reader = CapsuleReader()
    whole = capsules.encode_close(7, "because")
    for byte in whole[:-1]:
        assert reader.feed(bytes([byte])) == []
    assert reader.feed(whole[-1:]) == [CloseCapsule(7, "because")]


def test_a_reason_that_is_too_long_is_cut_between_characters() -> None:
    cut = CapsuleReader().feed(capsules.encode_close(1, "x" + "é" * 600))
    assert cut == [CloseCapsule(1, "x" + "é" * 511)]


def test_a_long_capsule_of_an_unknown_type_is_passed_over_without_being_kept() -> None:
    reader = CapsuleReader()
    unknown = (0x21, bytes(capsules.MAX_SKIPPED_BYTES))
    assert reader.feed(encoded(unknown) + capsules.encode_drain()) == [DrainCapsule()]
    assert reader._payload is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (encode_uint_var(capsules.CLOSE) + b"\x03\x00\x00\x00", "holds a code"),
        (encode_uint_var(capsules.CLOSE) + encode_uint_var(5 + capsules.MAX_REASON_BYTES), "at most 1024 bytes"),
        (encode_uint_var(capsules.CLOSE) + b"\x05\x00\x00\x00\x00\xff", "not UTF-8"),
        (encode_uint_var(capsules.DRAIN) + b"\x01", "wrong length, 1"),
        (encode_uint_var(capsules.MAX_DATA) + b"\x00", "wrong length, 0"),
        (encode_uint_var(capsules.MAX_DATA) + b"\x01\x40", "no single number"),
        (encode_uint_var(capsules.MAX_STREAMS_BIDI) + b"\x02\x01\x01", "no single number"),
        (b"\x21" + encode_uint_var(capsules.MAX_SKIPPED_BYTES + 1), "unknown type is longer"),
    ],
)
def test_what_is_no_capsule_is_told_and_nothing_is_read_after_it(data: bytes, why: str) -> None:
    reader = CapsuleReader()
    assert reader.feed(capsules.encode_drain() + data + capsules.encode_drain()) == [DrainCapsule()]
    assert reader.fault is not None
    assert why in reader.fault
    assert reader.feed(capsules.encode_drain()) == []


def test_a_flood_of_empty_capsules_ends_at_a_bound() -> None:
    reader = CapsuleReader()
    assert reader.feed(b"\x21\x00" * capsules.MAX_CAPSULES) == []
    assert reader.fault is None
    reader.feed(b"\x21\x00")
    assert reader.fault == "more than 65536 capsules came"
