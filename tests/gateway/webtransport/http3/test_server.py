"""One connection: who is let in, by which draft, and what becomes of what nobody asked for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode
from aioquic.h3.events import DataReceived, HeadersReceived
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.webtransport.http3 import capsules, drafts, server
from gateway.webtransport.http3.capsules import CapsuleReader, LimitCapsule
from gateway.webtransport.http3.rules import Http3Rules
from gateway.webtransport.interface import Draft
from gateway.webtransport.quic.rules import QuicRules
from gateway.wire.stream_messages import TEXT, encode
from tests.harness.waiting import until
from tests.harness.webtransport_door import RecordingDoor
from tests.harness.webtransport_session import CONNECT, Connection, OpenSession

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit

GET = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"gateway.example"),
    (b":path", b"/"),
)
STREAM_REFUSED = drafts.wire_error(drafts.STREAM_REFUSED)


async def eventually(connection: Connection, condition: Callable[[], bool]) -> None:
    def holds() -> bool:
        connection.run(for_s=0.02)
        return condition()

    await until(holds)


def changed(**pseudo: bytes) -> list[tuple[bytes, bytes]]:
    fields = {**dict(CONNECT), **{f":{name}".encode(): value for name, value in pseudo.items()}}
    return list(fields.items())


# Who is let in.


@pytest.mark.parametrize("draft", Draft)
async def test_a_client_of_each_draft_is_let_in_and_its_draft_known(draft: Draft) -> None:
    connection = Connection(draft=draft)
    assert drafts.server_supports(connection.client.http3.received_settings or {}, draft)
    headers = [(name.encode(), value.encode()) for name, value in drafts.client_headers(draft)]
    stream_id = connection.ask([*CONNECT, *headers])
    assert connection.answer_to(stream_id)[b":status"] == b"200"
    assert connection.door.requests[0].draft is draft
    answers_draft02 = connection.answer_to(stream_id).get(b"sec-webtransport-http3-draft")
    assert answers_draft02 == (b"draft02" if draft is Draft.draft02 else None)


async def test_the_newest_draft_may_open_streams_and_send_as_soon_as_it_is_let_in() -> None:
    session = OpenSession(draft=Draft.draft13)
    assert CapsuleReader().feed(session.connect_bytes()) == [
        LimitCapsule(capsules.MAX_STREAMS_BIDI, 1 << 60),
        LimitCapsule(capsules.MAX_STREAMS_UNI, 1 << 60),
        LimitCapsule(capsules.MAX_DATA, 1 << 60),
    ]
    session.send(encode(TEXT, b"start"))
    assert session.heard.events == [(TEXT, b"start")]


@pytest.mark.parametrize("draft", [Draft.draft02, Draft.draft07])
async def test_the_older_drafts_get_no_capsules_that_they_do_not_know(draft: Draft) -> None:
    assert OpenSession(draft=draft).connect_bytes() == b""


@pytest.mark.parametrize(("protocol", "draft"), [(b"webtransport", Draft.draft02), (b"webtransport-h3", Draft.draft13)])
async def test_a_client_that_sends_none_of_the_settings_is_taken_at_its_word(protocol: bytes, draft: Draft) -> None:
    connection = Connection(settings={})
    assert connection.answer_to(connection.ask(changed(protocol=protocol)))[b":status"] == b"200"
    assert connection.door.requests[0].draft is draft


async def test_our_protocol_is_chosen_where_it_is_offered_and_a_token_is_never_echoed() -> None:
    connection = Connection()
    stream_id = connection.ask([*CONNECT, (b"wt-available-protocols", b'"bearer.secret", "patchbay.v1"')])
    assert connection.answer_to(stream_id) == {b":status": b"200", b"wt-protocol": b'"patchbay.v1"'}
    assert connection.door.requests[0].protocols == ("bearer.secret", "patchbay.v1")


async def test_no_protocol_is_chosen_where_ours_is_not_offered() -> None:
    connection = Connection()
    stream_id = connection.ask([*CONNECT, (b"wt-available-protocols", b'"bearer.secret"')])
    assert connection.answer_to(stream_id) == {b":status": b"200"}


@pytest.mark.parametrize("status", [403, 404, 429, 503])
async def test_who_is_not_let_in_gets_the_door_s_status(status: int) -> None:
    connection = Connection(door=RecordingDoor(status=status))
    stream_id = connection.ask(CONNECT)
    assert connection.answer_to(stream_id) == {b":status": b"%d" % status}
    assert connection.client.is_ended(stream_id)
    assert connection.client.resets() == {}
    assert connection.user.sessions == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (changed(scheme=b"http"), b"400"),
        (changed(authority=b"user@gateway.example"), b"400"),
        (changed(path=b"/" + b"x" * 2_000), b"414"),
        (changed(protocol=b"websocket"), b"501"),
        ([(b":method", b"CONNECT"), (b":authority", b"gateway.example:443")], b"405"),
    ],
)
async def test_a_request_for_something_else_is_refused_with_its_status(
    fields: list[tuple[bytes, bytes]], status: bytes
) -> None:
    connection = Connection(max_path_bytes=1_000)
    stream_id = connection.ask(fields)
    assert connection.answer_to(stream_id)[b":status"] == status
    assert connection.client.is_ended(stream_id)
    assert connection.answer_to(connection.ask(CONNECT))[b":status"] == b"200", "the connection goes on"


async def test_a_connection_has_a_number_of_sessions() -> None:
    connection = Connection(max_sessions_per_connection=2)
    statuses = [connection.answer_to(connection.ask(CONNECT))[b":status"] for _ in range(3)]
    assert statuses == [b"200", b"200", b"429"]
    first, second = connection.door.sessions
    for index, heard in ((0, first), (4, second)):
        connection.client.open_stream(index, encode(TEXT, b"to %d" % index))
        connection.run()
        connection.client.http3.send_datagram(index, b"%d" % index)
        connection.run()
        assert heard.events == [(TEXT, b"to %d" % index), ("datagram", b"%d" % index)]
    first.session.close(1, "one")
    connection.client.http3.send_data(0, b"", end_stream=True)
    connection.run()
    assert connection.user.sessions == 1
    assert connection.answer_to(connection.ask(CONNECT))[b":status"] == b"200"


async def test_a_request_that_overtakes_the_settings_waits_for_them() -> None:
    connection = Connection(starts_http3=False)
    http3 = connection.client.http3
    settings_sent, connection.client.quic._streams[2].sender._pending = connection.client.quic._streams[2], _nothing()
    stream_id = connection.client.quic.get_next_available_stream_id()
    http3.send_headers(stream_id, list(CONNECT))
    http3.send_data(stream_id, capsules.encode_drain(), end_stream=False)
    connection.client.open_stream(stream_id, encode(TEXT, b"early"))
    connection.run()
    assert connection.door.requests == []
    settings_sent.sender._pending.add(0, settings_sent.sender._buffer_stop)
    settings_sent.sender.buffer_is_empty = False
    connection.run()
    assert connection.door.requests[0].draft is Draft.draft02
    assert connection.door.sessions[0].events == [(TEXT, b"early")]


def _nothing() -> object:
    from aioquic.quic.rangeset import RangeSet

    return RangeSet()


async def test_too_much_before_the_settings_ends_the_connection() -> None:
    connection = Connection(starts_http3=False)
    for stream_id in range(0, 80, 4):
        connection.client.send(stream_id, _request_bytes())
    connection.run()
    assert connection.client.closed is not None
    assert connection.client.closed.error_code == ErrorCode.H3_EXCESSIVE_LOAD


def _request_bytes() -> bytes:
    """A CONNECT as HTTP/3 writes it, without tables."""
    import pylsqpack
    from aioquic.h3.connection import FrameType, encode_frame

    _, block = pylsqpack.Encoder().encode(0, list(CONNECT))
    return encode_frame(FrameType.HEADERS, block)


async def test_a_request_that_is_taken_back_before_the_settings_opens_no_session() -> None:
    connection = Connection(starts_http3=False)
    connection.client.send(0, _request_bytes())
    connection.run()
    connection.client.quic.reset_stream(0, 0)
    connection.run()
    connection.client.send(2, b"\x00\x04\x00")
    connection.run()
    assert connection.door.requests == []
    connection.client.send(4, _request_bytes())
    connection.run()
    assert len(connection.door.requests) == 1


async def test_what_came_before_the_settings_has_a_number_of_bytes() -> None:
    connection = Connection(starts_http3=False, max_early_bytes=1_000)
    request = HeadersReceived(headers=list(CONNECT), stream_id=0, stream_ended=False)
    connection.user._http3_event(request)
    connection.user._http3_event(DataReceived(data=bytes(1_000), stream_id=0, stream_ended=False))
    connection.run()
    assert connection.client.closed is None
    connection.user._http3_event(DataReceived(data=b"x", stream_id=0, stream_ended=False))
    connection.run()
    assert connection.client.closed is not None
    assert connection.client.closed.error_code == ErrorCode.H3_EXCESSIVE_LOAD


async def test_nobody_comes_in_once_the_connection_is_over() -> None:
    connection = Connection(starts_http3=False, max_refused_streams=0)
    for request in (0, 4):
        connection.client.send(request, _request_bytes())
    for stream_id in (8, 12):
        connection.client.send(stream_id, b"\x40\x41\x00x")
    connection.run()
    connection.client.send(2, b"\x00\x04\x02\x33\x01")
    connection.run()
    assert connection.client.closed is not None
    assert [heard.events for heard in connection.door.sessions] == [[("closed", None, "")]], "the second stayed outside"


# Streams and datagrams that nobody asked for.


async def test_the_first_stream_carries_the_messages_and_others_are_refused() -> None:
    session = OpenSession()
    second = session.client.open_stream(session.stream_id, encode(TEXT, b"second"))
    uni = session.client.open_stream(session.stream_id, encode(TEXT, b"uni"), uni=True)
    session.run()
    assert session.client.resets() == {second: STREAM_REFUSED}
    assert session.client.stops() == {second: STREAM_REFUSED, uni: STREAM_REFUSED}
    session.send(encode(TEXT, b"first"))
    assert session.heard.events == [(TEXT, b"first")]


async def test_a_client_that_goes_on_opening_streams_is_closed() -> None:
    session = OpenSession(max_refused_streams=5)
    for _ in range(6):
        session.client.open_stream(session.stream_id, b"x", end=True)
        session.run()
    assert session.client.closed is not None
    assert session.client.closed.error_code == ErrorCode.H3_EXCESSIVE_LOAD
    assert session.heard.events == [("closed", None, "")]


async def test_a_stream_that_overtakes_the_request_for_its_session_waits_for_it() -> None:
    connection = Connection()
    session_id = connection.client.quic.get_next_available_stream_id()
    connection.client.quic._local_next_stream_id_bidi += 4
    connection.client.open_stream(session_id, encode(TEXT, b"early"))
    connection.run()
    connection.client.quic._local_next_stream_id_bidi = session_id
    connection.ask(CONNECT)
    assert connection.door.sessions[0].events == [(TEXT, b"early")]


async def test_a_stream_that_waited_for_a_session_that_is_over_at_once_is_refused() -> None:
    connection = Connection()
    session_id = connection.client.quic.get_next_available_stream_id()
    connection.client.quic._local_next_stream_id_bidi += 4
    early = connection.client.open_stream(session_id, encode(TEXT, b"early"))
    connection.run()
    connection.client.quic._local_next_stream_id_bidi = session_id
    connection.ask(CONNECT, end=True)
    assert connection.door.sessions[0].events == [("closed", None, "")]
    assert connection.client.resets() == {early: STREAM_REFUSED}


async def test_each_stream_waits_as_long_for_its_session() -> None:
    connection = Connection(early_wait_ms=30)
    for _ in range(2):
        session_id = connection.client.quic.get_next_available_stream_id()
        connection.client.quic._local_next_stream_id_bidi += 4
        connection.client.open_stream(session_id, encode(TEXT, b"early"))
        connection.run()
        assert connection.user._early_deadline is not None
        next_id = connection.client.quic._local_next_stream_id_bidi
        connection.client.quic._local_next_stream_id_bidi = session_id
        connection.ask(CONNECT)
        connection.client.quic._local_next_stream_id_bidi = next_id
        assert connection.user._early_deadline is None, "nobody waits"
    assert [heard.events for heard in connection.door.sessions] == [[(TEXT, b"early")]] * 2


async def test_a_stream_whose_session_does_not_come_is_refused() -> None:
    connection = Connection(early_wait_ms=30)
    stream_id = connection.client.open_stream(40, encode(TEXT, b"early"))
    connection.run()
    assert connection.client.resets() == {}
    await eventually(connection, lambda: bool(connection.client.resets()))
    assert connection.client.resets() == {stream_id: drafts.BUFFERED_STREAM_REJECTED}
    assert connection.client.closed is None


async def test_only_so_much_is_kept_for_sessions_that_have_not_come() -> None:
    connection = Connection(max_early_streams=2, max_early_bytes=1_000)
    small = connection.client.open_stream(40, bytes(10))
    large = connection.client.open_stream(40, bytes(991))
    connection.run()
    assert connection.client.resets() == {large: drafts.BUFFERED_STREAM_REJECTED}
    others = [connection.client.open_stream(40, b"x") for _ in range(2)]
    connection.run()
    assert connection.client.resets() == {
        large: drafts.BUFFERED_STREAM_REJECTED,
        others[1]: drafts.BUFFERED_STREAM_REJECTED,
    }
    connection.client.quic.reset_stream(small, 1)
    connection.run()
    connection.client.open_stream(40, b"there is room again")
    connection.run()
    assert len(connection.client.resets()) == 3


async def test_a_stream_of_a_session_that_is_over_is_told_so() -> None:
    session = OpenSession()
    session.capsules(capsules.encode_close(0, ""), end=True)
    late = session.client.open_stream(session.stream_id, b"late")
    session.run()
    assert session.client.resets()[late] == drafts.SESSION_GONE


async def test_only_so_many_ended_sessions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_ENDED_REMEMBERED", 2)
    connection = Connection()
    ended = [connection.ask(CONNECT) for _ in range(3)]
    for session_id in ended:
        connection.client.http3.send_data(session_id, b"", end_stream=True)
    connection.run()
    late = [connection.client.open_stream(session_id, b"late") for session_id in ended]
    connection.run()
    assert connection.client.resets() == dict.fromkeys(late[1:], drafts.SESSION_GONE)


async def test_what_still_comes_on_the_stream_of_an_ended_session_harms_no_other() -> None:
    session = OpenSession()
    second = session.ask(CONNECT)
    session.client.http3.send_data(session.stream_id, capsules.encode_close(0, ""), end_stream=True)
    session.client.send(session.message_stream_id, bytes(5_000))
    session.run()
    assert session.client.closed is None
    session.client.open_stream(second, encode(TEXT, b"still here"))
    session.run()
    assert session.door.sessions[1].events == [(TEXT, b"still here")]


async def test_a_client_that_writes_on_to_a_refused_stream_gets_no_credit_for_it() -> None:
    session = OpenSession()
    refused = session.client.open_stream(session.stream_id, bytes(10))
    session.client.send(refused, bytes(5_000))
    session.run()
    assert session.pair.peer.paused == {refused}
    assert session.client.closed is None


@pytest.mark.parametrize("quarter_id", [100, (1 << 60) - 1])
async def test_a_datagram_for_no_session_is_dropped(quarter_id: int) -> None:
    session = OpenSession()
    session.client.quic.send_datagram_frame(encode_uint_var(quarter_id) + b"x")
    session.run()
    assert session.client.closed is None
    assert session.heard.events == []


# Clients that break the rules of HTTP/3, and the end of connections.


@pytest.mark.parametrize(
    ("break_rules", "code"),
    [
        (lambda s: s.client.quic.send_datagram_frame(b""), ErrorCode.H3_DATAGRAM_ERROR),
        (lambda s: s.client.quic.send_datagram_frame(encode_uint_var(1 << 60)), ErrorCode.H3_DATAGRAM_ERROR),
        (lambda s: s.client.open_stream(3, b"x"), ErrorCode.H3_ID_ERROR),
        (lambda s: s.client.send(s.client.quic.get_next_available_stream_id(), b"\x00\x01x"), 0x105),
        (lambda s: s.client.send(2, b"\x04\x00"), ErrorCode.H3_FRAME_UNEXPECTED),
        (lambda s: s.client.quic.reset_stream(2, 0), ErrorCode.H3_CLOSED_CRITICAL_STREAM),
        (lambda s: s.client.send(s.stream_id, b"\x40\x41\x00"), ErrorCode.H3_FRAME_ERROR),
    ],
)
async def test_breaking_the_rules_ends_the_connection_with_its_code_and_every_session_hears(
    break_rules: Callable[[OpenSession], object], code: int
) -> None:
    session = OpenSession()
    second = session.ask(CONNECT)
    assert session.answer_to(second)[b":status"] == b"200"
    break_rules(session)
    session.run()
    assert session.client.closed is not None
    assert session.client.closed.error_code == code
    assert [heard.events for heard in session.door.sessions] == [[("closed", None, "")]] * 2


async def test_a_connection_is_closed_when_its_last_session_is_over_and_the_client_does_not() -> None:
    session = OpenSession(linger_ms=30, empty_connection_ms=60_000)
    session.capsules(capsules.encode_close(0, ""), end=True)
    assert session.client.closed is None
    await eventually(session, lambda: session.client.closed is not None)
    assert session.client.closed is not None
    assert session.client.closed.error_code == ErrorCode.H3_NO_ERROR


async def test_a_connection_on_which_nothing_is_asked_for_is_closed() -> None:
    connection = Connection(empty_connection_ms=30)
    await eventually(connection, lambda: connection.client.closed is not None)


async def test_a_connection_stays_until_a_page_that_was_asked_for_is_there() -> None:
    connection, empty = Connection(empty_connection_ms=20), Connection(empty_connection_ms=20)
    connection.door.may_answer.clear()
    page = connection.ask(GET, end=True)
    await eventually(empty, lambda: empty.client.closed is not None)
    connection.run()
    assert connection.client.closed is None
    connection.door.may_answer.set()
    await eventually(connection, lambda: connection.client.closed is not None)
    assert connection.client.is_ended(page)


async def test_a_connection_with_a_session_stays() -> None:
    """Another connection of the same age shows that the time was long enough."""
    session, empty = OpenSession(empty_connection_ms=1, linger_ms=1), Connection(empty_connection_ms=1)
    await eventually(empty, lambda: empty.client.closed is not None)
    session.send(encode(TEXT, b"still here"))
    assert session.heard.events == [(TEXT, b"still here")]


async def test_while_draining_sessions_go_on_and_requests_are_put_off() -> None:
    session = OpenSession()
    session.user.drain()
    session.user.drain()
    session.run()
    assert session.client.stream_data(3).endswith(b"\x07\x01\x04"), "GOAWAY: the first request that is not answered"
    refused = session.ask(CONNECT)
    page = session.ask(GET, end=True)
    assert session.answer_to(refused)[b":status"] == b"503"
    assert session.client.resets() == {page: ErrorCode.H3_REQUEST_REJECTED}
    session.send(encode(TEXT, b"still here"))
    assert session.heard.events == [(TEXT, b"still here")]


async def test_a_client_is_sent_to_another_connection_before_it_runs_out_of_streams() -> None:
    connection = Connection(max_requests=2)
    first, second, third = (connection.ask(GET, end=True) for _ in range(3))
    await eventually(connection, lambda: connection.client.is_ended(second))
    assert connection.answer_to(first)[b":status"] == connection.answer_to(second)[b":status"] == b"200"
    assert connection.client.stream_data(3).endswith(b"\x07\x01\x08")
    assert connection.client.resets() == {third: ErrorCode.H3_REQUEST_REJECTED}


def test_quic_allows_more_streams_than_requests() -> None:
    fields = QuicRules.__dataclass_fields__
    assert Http3Rules(max_message_bytes=1).max_requests < fields["max_streams_ever"].default


async def test_while_draining_the_body_of_a_page_that_is_put_off_ends_no_session() -> None:
    session = OpenSession()
    session.user.drain()
    session.run()
    page = session.client.quic.get_next_available_stream_id()
    session.client.http3.send_headers(page, list(GET))
    session.client.http3.send_data(page, bytes(4_000), end_stream=True)
    session.run()
    assert session.client.resets() == {page: ErrorCode.H3_REQUEST_REJECTED}
    session.send(encode(TEXT, b"still here"))
    assert session.heard.events == [(TEXT, b"still here")]


async def test_the_end_of_a_connection_is_told_once() -> None:
    session = OpenSession()
    session.user.quic_closed()
    session.user.quic_closed()
    session.user.drain()
    assert session.heard.events == [("closed", None, "")]


async def test_a_connection_that_is_gone_leaves_no_timer_and_no_task_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_later = loop.call_later
    monkeypatch.setattr(loop, "call_later", lambda *args: timers.append(call_later(*args)) or timers[-1])
    session = OpenSession()
    session.door.may_answer.clear()
    session.ask(GET, end=True)
    session.client.open_stream(400, b"early")
    session.heard.session.send(TEXT, b"last")
    session.heard.session.close(4_400, "ours")
    session.run()
    empty = Connection()
    assert sum(not timer.cancelled() for timer in timers) == 4
    for user in (session.user, empty.user):
        user.quic_closed()
    await asyncio.sleep(0)
    assert all(timer.cancelled() for timer in timers)
    assert asyncio.all_tasks() == {asyncio.current_task()}


STREAMS = (2, 6, 10, 0, 4, 8, 12, 14, 18, 22)
FIELDS = st.tuples(
    st.sampled_from([name for name, _ in CONNECT] + [b"origin", b"content-length", b"X", b"wt-available-protocols"]),
    st.sampled_from([b"CONNECT", b"GET", b"https", b"webtransport", b"/v1/stream", b"a.example", b"5", b'"x'])
    | st.binary(max_size=9),
)
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(STREAMS), st.binary(max_size=60)),
    st.tuples(st.just("end"), st.sampled_from(STREAMS), st.binary(max_size=9)),
    st.tuples(st.just("frame"), st.sampled_from(STREAMS), st.binary(max_size=60)),
    st.tuples(st.just("reset"), st.sampled_from(STREAMS), st.just(b"")),
    st.tuples(st.just("stop"), st.sampled_from((0, 4, 8, 3, 7, 11)), st.just(b"")),
    st.tuples(st.just("datagram"), st.just(0), st.binary(max_size=20)),
    st.tuples(st.just("ask"), st.just(0), st.lists(FIELDS, max_size=8)),
    st.tuples(st.just("close"), st.integers(0, 5), st.binary(max_size=9)),
)


def take_step(session: OpenSession, step: tuple[str, int, object]) -> None:
    quic = session.client.quic
    match step:
        case ("write", stream_id, bytes(data)):
            quic.send_stream_data(stream_id, data)
        case ("end", stream_id, bytes(data)):
            quic.send_stream_data(stream_id, data, True)
        case ("frame", stream_id, bytes(data)):
            quic.send_stream_data(stream_id, b"\x00" + bytes([len(data)]) + data)
        case ("reset", stream_id, _):
            quic.reset_stream(stream_id, 5)
        case ("stop", stream_id, _):
            quic.stop_stream(stream_id, 5)
        case ("datagram", _, bytes(data)):
            quic.send_datagram_frame(data)
        case ("ask", _, list(fields)):
            session.client.http3.send_headers(quic.get_next_available_stream_id(), [*CONNECT[: len(fields)], *fields])
        case ("close", code, bytes(reason)):
            session.heard.session.close(code, reason.decode(errors="replace"))


@pytest.mark.timeout(120)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=10))
async def test_whatever_a_client_does_nothing_fails_and_each_session_hears_one_end(
    steps: list[tuple[str, int, object]],
) -> None:
    session = OpenSession()
    session.send(encode(TEXT, b"start"))
    for step in steps:
        if session.client.closed is None:
            with contextlib.suppress(RuntimeError, ValueError, AssertionError):  # the client's own side refuses it
                take_step(session, step)
            session.run(for_s=0.0)
    session.user.quic_closed()
    assert [len(heard.ends) for heard in session.door.sessions] == [1] * len(session.door.sessions)
