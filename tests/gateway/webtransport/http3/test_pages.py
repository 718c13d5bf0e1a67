"""Plain requests over HTTP/3, in memory, with aioquic's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aioquic.h3.connection import ErrorCode

from gateway.webtransport.http3.pages import plain_answer
from gateway.webtransport.interface import PageAnswer
from tests.harness.waiting import until
from tests.harness.webtransport_door import RecordingDoor
from tests.harness.webtransport_session import CONNECT, Connection

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit


def get(path: str = "/console", method: str = "GET") -> list[tuple[bytes, bytes]]:
    return [
        (b":method", method.encode()),
        (b":scheme", b"https"),
        (b":authority", b"gateway.example"),
        (b":path", path.encode()),
        (b"accept", b"text/html"),
    ]


async def eventually(connection: Connection, condition: Callable[[], bool]) -> None:
    def holds() -> bool:
        connection.run(for_s=0.02)
        return condition()

    await until(holds)


async def answered(connection: Connection, stream_id: int) -> dict[bytes, bytes]:
    await eventually(connection, lambda: connection.client.is_ended(stream_id))
    return connection.answer_to(stream_id)


async def test_a_page_is_what_the_door_says() -> None:
    door = RecordingDoor()
    door.answer = PageAnswer(200, (("Content-Type", "text/html"), ("Connection", "close"), ("X-A", "1")), b"x" * 50_000)
    connection = Connection(door=door)
    stream_id = connection.ask(get(), end=True)
    assert await answered(connection, stream_id) == {
        b":status": b"200",
        b"content-type": b"text/html",
        b"x-a": b"1",
        b"content-length": b"50000",
    }
    assert connection.body_of(stream_id) == b"x" * 50_000
    (request,) = door.requests
    assert (request.method, request.path, request.draft) == ("GET", "/console", None)
    assert ("accept", "text/html") in request.headers


async def test_the_answer_to_head_has_no_body_and_says_no_length() -> None:
    door = RecordingDoor()
    door.answer = PageAnswer(200, (("content-length", "11"),), b"")
    connection = Connection(door=door)
    stream_id = connection.ask(get(method="HEAD"), end=True)
    assert await answered(connection, stream_id) == {b":status": b"200"}
    assert connection.body_of(stream_id) == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_says_no_length(status: int) -> None:
    """RFC 9110 §8.6: a 204 has none, and that of a 304 would be that of the page."""
    door = RecordingDoor()
    door.answer = PageAnswer(status, (("etag", '"1"'), ("content-length", "11")), b"")
    connection = Connection(door=door)
    stream_id = connection.ask(get(), end=True)
    assert await answered(connection, stream_id) == {b":status": b"%d" % status, b"etag": b'"1"'}


async def test_a_field_goes_on_as_the_bytes_that_the_gateway_said() -> None:
    door = RecordingDoor()
    door.answer = PageAnswer(200, (("x-a", "żółć"), ("x-b", b"\xff".decode(errors="surrogateescape"))), b"page")
    connection = Connection(door=door)
    answer = await answered(connection, connection.ask(get(), end=True))
    assert (answer[b"x-a"], answer[b"x-b"]) == ("żółć".encode(), b"\xff")


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "nonsense"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    connection = Connection()
    stream_id = connection.ask(get(method=method), end=True)
    answer = await answered(connection, stream_id)
    assert (answer[b":status"], answer[b"allow"]) == (b"405", b"GET, HEAD")
    assert connection.body_of(stream_id) == b"405 Method Not Allowed\n"
    assert connection.door.requests == []


async def test_what_a_request_carries_beyond_its_head_is_not_read() -> None:
    connection = Connection()
    stream_id = connection.ask(get())
    assert connection.client.stops() == {stream_id: ErrorCode.H3_NO_ERROR}
    assert connection.pair.peer.paused == {stream_id}
    assert (await answered(connection, stream_id))[b":status"] == b"200"


async def test_more_pages_at_once_than_are_allowed_are_put_off() -> None:
    connection = Connection(max_pages_in_flight=2)
    connection.door.may_answer.clear()
    waiting = [connection.ask(get(), end=True) for _ in range(2)]
    third = connection.ask(get(), end=True)
    answer = await answered(connection, third)
    assert (answer[b":status"], answer[b"retry-after"]) == (b"503", b"1")
    connection.door.may_answer.set()
    for stream_id in waiting:
        assert (await answered(connection, stream_id))[b":status"] == b"200"
    assert (await answered(connection, connection.ask(get(), end=True)))[b":status"] == b"200"


async def test_a_page_that_does_not_come_in_time_is_given_up() -> None:
    connection = Connection(page_wait_ms=30)
    connection.door.may_answer.clear()
    answer = await answered(connection, connection.ask(get(), end=True))
    assert answer[b":status"] == b"504"


async def test_a_client_that_does_not_read_its_page_loses_it() -> None:
    door = RecordingDoor()
    door.answer = PageAnswer(200, (), bytes(50_000))
    connection = Connection(door=door, page_wait_ms=30, client_reads_bytes=1_000)
    stream_id = connection.ask(get(), end=True)
    await eventually(connection, lambda: connection.client.resets() == {stream_id: ErrorCode.H3_REQUEST_CANCELLED})


async def test_a_page_that_is_too_large_is_none() -> None:
    door = RecordingDoor()
    door.answer = PageAnswer(200, (), bytes(101))
    connection = Connection(door=door, max_page_bytes=100)
    assert (await answered(connection, connection.ask(get(), end=True)))[b":status"] == b"502"


async def test_a_request_that_is_taken_back_makes_room() -> None:
    connection = Connection(max_pages_in_flight=1)
    connection.door.may_answer.clear()
    first = connection.ask(get(), end=True)
    connection.client.quic.stop_stream(first, ErrorCode.H3_REQUEST_CANCELLED)
    connection.run()
    connection.door.may_answer.set()
    assert (await answered(connection, connection.ask(get(), end=True)))[b":status"] == b"200"
    assert connection.answer_to(first) == {}


async def test_the_pages_of_a_lost_connection_are_asked_no_more() -> None:
    connection = Connection()
    connection.door.may_answer.clear()
    connection.ask(get(), end=True)
    connection.user.quic_closed()
    connection.door.may_answer.set()
    assert connection.user._pages.in_flight == 0


async def test_a_page_and_a_session_share_a_connection() -> None:
    connection = Connection()
    session_id = connection.ask(CONNECT)
    page = connection.ask(get(), end=True)
    assert (await answered(connection, page))[b":status"] == b"200"
    assert connection.answer_to(session_id)[b":status"] == b"200"
    assert connection.user.sessions == 1


def test_a_refusal_says_its_status_for_a_person() -> None:
    assert plain_answer(405, ("allow", "GET")) == PageAnswer(
        405, (("content-type", "text/plain; charset=utf-8"), ("allow", "GET")), b"405 Method Not Allowed\n"
    )
