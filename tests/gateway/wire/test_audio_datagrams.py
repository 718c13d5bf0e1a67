"""Where a datagram's audio belongs is read as it was written; too few bytes say nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.audio_datagrams import PLACE_BYTES, decode_place, encode_datagram, encode_mark

pytestmark = pytest.mark.unit

sequences = st.integers(0, 2**32 - 1)
samples = st.integers(0, 2**64 - 1)


@given(sequences, samples, st.binary(max_size=100))
def test_a_datagram_is_its_place_and_then_its_audio(sequence: int, sample: int, audio: bytes) -> None:
    datagram = encode_datagram(sequence, sample, audio)
    assert decode_place(datagram) == (sequence, sample)
    assert datagram[PLACE_BYTES:] == audio


@given(sequences, samples)
def test_a_mark_is_a_place_alone(sequence: int, sample: int) -> None:
    mark = encode_mark(sequence, sample)
    assert decode_place(mark) == (sequence, sample)
    assert len(mark) == PLACE_BYTES


def test_numbers_are_big_endian() -> None:
    assert encode_mark(1, 2) == b"\0\0\0\1" + b"\0\0\0\0\0\0\0\2"


@given(st.binary(max_size=PLACE_BYTES - 1))
def test_fewer_bytes_than_a_place_has_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="hold no place"):
        decode_place(payload)
