"""The numbers of EBML."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.byte_queue import ByteQueue
from gateway.audio.ebml import Element, children, next_element, parse_vint, signed, unsigned
from gateway.audio.settings import AudioSettings
from gateway.errors import ClientFault

pytestmark = pytest.mark.unit


def element_at_start(data: bytes) -> Element:
    queue = ByteQueue("webm_opus", AudioSettings())
    queue.append(data)
    with pytest.raises(StopIteration) as stop:
        next(next_element(queue))
    return stop.value.value


@pytest.mark.parametrize(
    ("data", "element"),
    [
        (b"\xa3\x81", Element(0xA3, 1)),
        (b"\x42\x82\x40\x05", Element(0x4282, 5)),
        (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f", Element(0x1A45DFA3, 31)),
        (b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff", Element(0x18538067, None)),
        (b"\x1f\x43\xb6\x75\xff", Element(0x1F43B675, None)),
    ],
)
def test_headers_of_elements_are_read(data, element):
    assert element_at_start(data) == element


@pytest.mark.parametrize("data", [b"\x00\x81", b"\x08\x81\x81\x81\x81\x81", b"\xa3\x00"])
def test_what_is_no_number_is_refused(data):
    with pytest.raises(ClientFault, match="EBML"):
        element_at_start(data)


@given(st.integers(0, (1 << 56) - 2), st.integers(1, 8))
def test_numbers_come_back_from_any_length(value, length):
    if value >= (1 << 7 * length) - 1:
        value %= (1 << 7 * length) - 1
    data = (value | 1 << 7 * length).to_bytes(length, "big")
    assert parse_vint(b"x" + data + b"y", 1) == (value, 1 + length)


def test_children_are_listed_in_order():
    assert list(children(b"\xd7\x81\x05\x83\x80")) == [(0xD7, b"\x05"), (0x83, b"")]


@given(st.binary(max_size=40))
def test_any_bytes_are_children_or_refused(data):
    with contextlib.suppress(ClientFault):
        assert sum(len(content) for _, content in children(data)) <= len(data)


def test_values_are_read():
    assert (unsigned(b"\x01\x00"), signed(b"\xff\xfe"), signed(b"")) == (256, -2, 0)
