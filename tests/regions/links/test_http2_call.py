"""The client's end of a gRPC call: framing both ways, windows, and whatever bytes may come."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.links.http2_call import CallBroken, Http2Call

pytestmark = pytest.mark.unit

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5


def new_call(max_message_bytes: int = 1_000_000) -> Http2Call:
    """A call whose opening has been written."""
    call = Http2Call("/a.B/C", authority="localhost", max_message_bytes=max_message_bytes)
    call.take_out()
    return call


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 1) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def grpc_message(payload: bytes) -> bytes:
    return struct.pack(">BI", 0, len(payload)) + payload


def setting(name: int, value: int) -> bytes:
    return frame(SETTINGS, struct.pack(">HI", name, value), stream=0)


def window(increment: int, *, stream: int) -> bytes:
    return frame(WINDOW_UPDATE, increment.to_bytes(4, "big"), stream=stream)


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """What was written, as (kind, flags, stream, payload)."""
    found = []
    while data:
        length_and_kind, flags, stream = struct.unpack_from(">IBI", data)
        length = length_and_kind >> 8
        assert len(data) >= 9 + length
        found.append((length_and_kind & 0xFF, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def audio_of(written: bytes) -> bytes:
    return b"".join(payload for kind, _, _, payload in frames(written) if kind == DATA)


def test_a_call_opens_with_preface_settings_and_a_post_to_its_method() -> None:
    opening = Http2Call("/a.B/C", authority="localhost", max_message_bytes=10).take_out()
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    assert opening.startswith(preface)
    kinds = [(kind, flags, stream) for kind, flags, stream, _ in frames(opening[len(preface) :])]
    assert kinds == [(SETTINGS, 0, 0), (WINDOW_UPDATE, 0, 0), (HEADERS, END_HEADERS, 1)]
    assert b"\x06/a.B/C" in opening
    assert b"\x10application/grpc" in opening


@given(
    messages=st.lists(st.binary(max_size=300), max_size=8),
    frame_bytes=st.integers(1, 120),
    read_bytes=st.integers(1, 200),
    padding=st.integers(0, 20),
)
def test_messages_come_out_whole_however_they_are_cut(
    messages: list[bytes], frame_bytes: int, read_bytes: int, padding: int
) -> None:
    call = new_call()
    stream = b"".join(grpc_message(message) for message in messages)
    pieces = [stream[at : at + frame_bytes] for at in range(0, len(stream), frame_bytes)]
    pad = bytes([padding]), bytes(padding)
    sent = b"".join(frame(DATA, pad[0] + piece + pad[1], flags=PADDED) for piece in pieces)
    received = [
        message for at in range(0, len(sent), read_bytes) for message in call.receive(sent[at : at + read_bytes])
    ]
    assert received == messages
    assert not call.is_over


@given(
    sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=6),
    updates=st.lists(st.tuples(st.integers(1, 80_000), st.sampled_from([0, 1])), max_size=12),
)
def test_no_more_is_sent_than_both_windows_allow_and_nothing_is_lost(
    sizes: list[int], updates: list[tuple[int, int]]
) -> None:
    call = new_call()
    allowed = [65_535, 65_535]
    messages = [bytes([number]) * size for number, size in enumerate(sizes)]
    expected = b"".join(grpc_message(message) for message in messages)
    written = b""
    for message in messages:
        call.send(message)
        written += audio_of(call.take_out())
    for increment, stream in updates:
        allowed[stream] += increment
        call.receive(window(increment, stream=stream))
        written += audio_of(call.take_out())
        assert len(written) == min(len(expected), *allowed)
    assert expected.startswith(written)
    assert call.has_unsent == (len(written) < len(expected))
    for stream in (0, 1):
        call.receive(window(1_000_000, stream=stream))
    assert written + audio_of(call.take_out()) == expected
    assert not call.has_unsent


def test_no_frame_is_longer_than_the_engine_takes() -> None:
    call = new_call()
    call.receive(setting(INITIAL_WINDOW_SIZE, 200_000) + window(200_000, stream=0))
    call.take_out()
    call.send(bytes(40_000))
    assert max(len(payload) for _, _, _, payload in frames(call.take_out())) == 16_384
    call.receive(setting(MAX_FRAME_SIZE, 30_000))
    call.take_out()
    call.send(bytes(40_000))
    assert max(len(payload) for _, _, _, payload in frames(call.take_out())) == 30_000


def test_a_smaller_initial_window_counts_against_what_was_sent() -> None:
    call = new_call()
    call.send(bytes(50_000))
    call.take_out()
    call.receive(setting(INITIAL_WINDOW_SIZE, 40_000))
    call.take_out()
    call.send(bytes(100))
    assert call.take_out() == b""
    call.receive(window(10_005 + 105, stream=1))
    assert audio_of(call.take_out()) == grpc_message(bytes(100))


def test_settings_are_acknowledged_and_pings_answered() -> None:
    call = new_call()
    call.receive(setting(99, 1) + frame(SETTINGS, flags=ACK, stream=0))
    assert frames(call.take_out()) == [(SETTINGS, ACK, 0, b"")]
    call.receive(frame(PING, b"12345678", stream=0) + frame(PING, b"87654321", flags=ACK, stream=0))
    assert frames(call.take_out()) == [(PING, ACK, 0, b"12345678")]


def test_our_window_is_opened_again_long_before_it_is_used_up() -> None:
    call = new_call()
    payload = frame(DATA, grpc_message(bytes(999_995)))
    answers = b""
    for _ in range(1_100):
        call.receive(payload)
        answers += call.take_out()
    found = frames(answers)
    assert [(kind, stream) for kind, _, stream, _ in found] == [(WINDOW_UPDATE, 0), (WINDOW_UPDATE, 1)]
    assert {int.from_bytes(increment, "big") for _, _, _, increment in found} == {1_074_000_000}


@pytest.mark.parametrize(
    "last",
    [
        frame(HEADERS, b"trailers", flags=END_STREAM | END_HEADERS),
        frame(RESET, bytes(4)),
        frame(DATA, flags=END_STREAM),
    ],
)
def test_a_call_is_over_when_the_engine_ends_it(last: bytes) -> None:
    call = new_call()
    call.receive(frame(HEADERS, b"whatever", flags=END_HEADERS) + frame(GOAWAY, bytes(8), stream=0))
    assert not call.is_over
    assert call.receive(frame(DATA, grpc_message(b"last")) + last) == [b"last"]
    assert call.is_over


@pytest.mark.parametrize(
    "wrong",
    [
        frame(DATA, b"\x01" + bytes(4)),
        frame(DATA, b"\x00" + (1_000_001).to_bytes(4, "big")),
        frame(DATA, b"\x09abc", flags=PADDED),
        frame(DATA, b"", flags=PADDED),
        frame(PING, b"1234567", stream=0),
        frame(SETTINGS, b"12345", stream=0),
        setting(INITIAL_WINDOW_SIZE, 1 << 31),
        setting(MAX_FRAME_SIZE, 1),
        frame(WINDOW_UPDATE, b"123"),
        window(0x7FFF_FFFF, stream=1),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_what_is_no_such_call_breaks_it(wrong: bytes) -> None:
    with pytest.raises(CallBroken):
        new_call().receive(wrong)


@given(st.lists(st.one_of(st.binary(max_size=60), st.builds(frame, st.integers(0, 10), st.binary(max_size=40)))))
def test_whatever_comes_gives_messages_or_breaks_the_call(reads: list[bytes]) -> None:
    call = new_call(max_message_bytes=30)
    with contextlib.suppress(CallBroken):
        for read in reads:
            assert all(len(message) <= 30 for message in call.receive(read))
