"""Bounds that aioquic's HTTP/3 lacks."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pylsqpack
import pytest
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode, FrameType, H3Connection, H3Stream, encode_frame

from gateway.webtransport.http3 import connection as bounds
from gateway.webtransport.http3.connection import Http3Connection
from tests.harness.webtransport_session import CONNECT, Connection, OpenSession

pytestmark = pytest.mark.unit


def closed_with(connection: Connection) -> int | None:
    return None if connection.client.closed is None else connection.client.closed.error_code


async def test_no_table_is_offered_that_a_client_could_fill() -> None:
    settings = Connection().client.http3.received_settings or {}
    assert (settings[0x1], settings[0x7]) == (0, 0)
    assert settings[0x6] == 32_768


async def test_headers_that_are_announced_too_large_end_the_connection_before_they_come() -> None:
    connection = Connection(max_headers_bytes=1_000)
    connection.client.send(0, encode_uint_var(FrameType.HEADERS) + encode_uint_var(1_001))
    connection.run()
    assert closed_with(connection) == ErrorCode.H3_EXCESSIVE_LOAD


async def test_headers_that_grow_when_they_are_decoded_end_the_connection() -> None:
    """Each byte here names a field of the static table with its value: 21 bytes of path and more."""
    connection = Connection(max_headers_bytes=1_000)
    _, block = pylsqpack.Encoder().encode(0, list(CONNECT))
    connection.client.send(0, encode_frame(FrameType.HEADERS, block + b"\xdf" * 100))
    connection.run()
    assert closed_with(connection) == ErrorCode.H3_EXCESSIVE_LOAD


async def test_a_request_has_a_number_of_headers() -> None:
    connection = Connection(max_headers=20)
    assert connection.answer_to(connection.ask([*CONNECT, *[(b"x", b"y")] * 15]))[b":status"] == b"200"
    connection.ask([*CONNECT, *[(b"x", b"y")] * 16])
    assert closed_with(connection) == ErrorCode.H3_EXCESSIVE_LOAD


@pytest.mark.parametrize("frame", [FrameType.SETTINGS, FrameType.MAX_PUSH_ID])
async def test_a_frame_on_the_control_stream_that_is_gathered_whole_has_a_length(frame: int) -> None:
    connection = Connection(starts_http3=frame == FrameType.MAX_PUSH_ID)
    announced = encode_uint_var(frame) + encode_uint_var(bounds.MAX_SETTINGS_BYTES + 1)
    connection.client.send(2, announced if frame == FrameType.MAX_PUSH_ID else b"\x00" + announced)
    connection.run()
    assert closed_with(connection) == ErrorCode.H3_EXCESSIVE_LOAD


@pytest.mark.parametrize("frame", [b"\x21\x00", b"\x00\x00", b"\x00\x01\x00"])
async def test_frames_that_carry_little_have_a_number(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_SMALL_FRAMES", 100)
    monkeypatch.setattr(bounds, "SMALL_FRAMES_PER_SECOND", 0.0)
    session = OpenSession()
    before = session.user._http3._small_frames_left
    assert before >= 95, "what every client sends"
    session.client.send(session.stream_id, frame * int(before))
    session.run()
    assert closed_with(session) is None
    session.client.send(session.stream_id, frame)
    session.run()
    assert closed_with(session) == ErrorCode.H3_EXCESSIVE_LOAD


@pytest.mark.parametrize("frame", [b"\x0d\x01\x08", b"\x21\x00"])
async def test_frames_of_the_control_stream_have_a_number_too(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_SMALL_FRAMES", 50)
    monkeypatch.setattr(bounds, "SMALL_FRAMES_PER_SECOND", 0.0)
    connection = Connection()
    connection.client.send(2, frame * 51)
    connection.run()
    assert closed_with(connection) == ErrorCode.H3_EXCESSIVE_LOAD


async def test_a_long_session_may_go_on_sending_small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_SMALL_FRAMES", 50)
    session = OpenSession()
    now_s = time.monotonic()
    for second in range(4):
        monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda at_s=now_s + second: at_s))
        session.client.send(session.stream_id, b"\x00\x01\x21" * 40)
        session.run()
    assert closed_with(session) is None


async def test_large_frames_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_SMALL_FRAMES", 50)
    monkeypatch.setattr(bounds, "SMALL_FRAMES_PER_SECOND", 0.0)
    session = OpenSession()
    session.client.send(session.stream_id, (b"\x00\x40\x40" + b"\x21\x3e" + bytes(62)) * 60)
    session.run()
    assert closed_with(session) is None


async def test_a_header_that_is_none_is_told_in_a_reason_that_fits_into_a_packet() -> None:
    connection = Connection()
    connection.ask([*CONNECT, (b"X" * 20_000, b"y")])
    assert closed_with(connection) == ErrorCode.H3_MESSAGE_ERROR
    assert connection.client.closed is not None
    assert connection.client.closed.reason_phrase.startswith("Header b'XXX")


async def test_a_client_that_stops_a_stream_of_ours_ends_the_connection_with_its_code() -> None:
    session = OpenSession()
    http3 = session.user._http3
    session.client.quic.stop_stream(http3._local_decoder_stream_id or 0, 0)
    session.client.quic.reset_stream(session.ask(CONNECT), 0)
    session.run()
    assert closed_with(session) == ErrorCode.H3_CLOSED_CRITICAL_STREAM


async def test_a_request_that_comes_just_after_that_ends_the_connection_in_the_same_way() -> None:
    session = OpenSession()
    session.pair.server_quic.reset_stream(session.user._http3._local_decoder_stream_id or 0, 0)
    session.ask(CONNECT)
    assert closed_with(session) == ErrorCode.H3_CLOSED_CRITICAL_STREAM
    assert session.heard.events == [("closed", None, "")]


async def test_sending_to_a_client_that_no_longer_listens_says_so() -> None:
    session = OpenSession()
    http3 = session.user._http3
    assert not http3.body(400, b"x", end=False)
    assert not http3.answer(400, 200, end=True)
    assert http3.body(session.stream_id, b"", end=True)
    assert not http3.body(session.stream_id, b"x", end=False)
    assert not http3.answer(session.stream_id, 200, end=False)


@pytest.mark.parametrize(
    "name",
    [
        "_init_connection",
        "_get_local_settings",
        "_check_request_or_push_frame_type",
        "_check_control_frame_type",
        "_decode_headers",
        "_receive_stream_data",
    ],
)
def test_what_is_replaced_is_still_there(name: str) -> None:
    assert name in vars(H3Connection)
    assert name in vars(Http3Connection)


def test_a_stream_still_has_the_fields_that_are_read() -> None:
    assert {"session_id", "frame_size", "headers_recv_state"} <= vars(H3Stream(0)).keys()
