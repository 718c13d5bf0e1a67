"""Numbers of packets: read as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.quic.short_numbers import encoded, packet_number, varint

pytestmark = pytest.mark.unit


@given(st.integers(0, 2**62 - 1))
def test_numbers_are_read_as_they_are_written(number: int) -> None:
    written = encoded(number)
    assert varint(b"x" + written + b"y", 1) == (number, 1 + len(written))
    with pytest.raises(IndexError):
        varint(written[:-1], 0)


@given(st.integers(0, 2**40), st.integers(-100, 100), st.sampled_from([8, 16, 24, 32]))
def test_packet_numbers_are_found_again(expected: int, apart: int, bits: int) -> None:
    number = max(0, expected + apart)
    assert packet_number(number & (1 << bits) - 1, bits, expected) == number
