"""What a client says goes to the gateway, what the gateway says comes back, and each holds the other back."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from prometheus_client import CollectorRegistry

from gateway.webtransport import hopped_session
from gateway.webtransport.datagram_lane import LaneRules
from gateway.webtransport.edge_metrics import EdgeMetrics
from gateway.webtransport.hopped_session import HoppedSession, SessionRules
from gateway.wire.audio_datagrams import encode_datagram, encode_mark
from gateway.wire.codec import decode_server, encode_client
from gateway.wire.messages import ErrorMessage, Finish, Start
from gateway.wire.stream_messages import AUDIO, MARK, TEXT
from tests.harness.fake_webtransport_session import FakeWebTransportSession
from tests.harness.hop_end import HopEnd, hop_and_its_end
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.integration

RULES = SessionRules(max_message_bytes=4_096, lane=LaneRules(reorder_ms=20, reorder_datagrams=8))
START = encode_client(Start()).encode()
FINISH = encode_client(Finish()).encode()
MANY = 400
DRAINING = (1_012, "draining; retry_after_ms=100")


@dataclass
class Running:
    """A session, what it is to its client (`says`), and the other end of the hop."""

    says: HoppedSession
    session: FakeWebTransportSession
    end: HopEnd
    registry: CollectorRegistry
    task: asyncio.Task[None]

    def ended(self, by: str) -> float | None:
        return self.registry.get_sample_value("patchbay_webtransport_sessions_ended_total", {"by": by})

    def error(self) -> ErrorMessage:
        message = decode_server(self.session.sent[-1][1])
        assert isinstance(message, ErrorMessage)
        return message


@contextlib.asynccontextmanager
async def running(rules: SessionRules = RULES, *, is_there: bool = True, status: int = 101) -> AsyncIterator[Running]:
    async with hop_and_its_end() as (hop, end):
        end.status = status
        if not is_there:
            await end.listening.aclose()
        session = FakeWebTransportSession()
        registry = CollectorRegistry()
        hopped = HoppedSession(session, hop, rules, EdgeMetrics(registry))
        session.listen(hopped)
        task = asyncio.create_task(hopped.run())
        try:
            yield Running(hopped, session, end, registry, task)
        finally:
            hopped.closed(None, "")
            end.is_reading.set()
            async with asyncio.timeout(60):
                await task


async def test_messages_go_both_ways_in_their_order_and_unchanged() -> None:
    async with running() as told:
        for kind, payload in ((TEXT, START), (AUDIO, b"\x00\x01"), (TEXT, b"no json")):
            told.says.received(kind, payload)
        socket = await told.end.socket()
        await until(lambda: len(told.end.heard) == 3)
        assert told.end.data == [START.decode(), b"\x00\x01", "no json"]
        await socket.send_str("one")
        await socket.send_str("two")
        await until(lambda: len(told.session.sent) == 2)
        assert told.session.sent == [(TEXT, b"one"), (TEXT, b"two")]


async def test_close_code_and_text_of_the_gateway_are_the_sessions() -> None:
    async with running() as told:
        socket = await told.end.socket()
        await socket.send_str("last words")
        await socket.close(code=4431, message=b"quota_exhausted; retry_after_ms=1500")
        await until(told.task.done)
        assert told.session.sent == [(TEXT, b"last words")]
        assert told.session.closed == (4431, "quota_exhausted; retry_after_ms=1500")
        assert told.ended("gateway") == 1


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_gateway_that_breaks_off_or_is_not_there_may_be_tried_again(*, is_there: bool) -> None:
    async with running(is_there=is_there) as told:
        if is_there:
            await told.end.socket()
            transport = told.end.requests[0].transport
            assert transport is not None
            transport.abort()
        await until(told.task.done)
        assert (told.error().reason, told.error().retryable) == ("draining", True)
        assert told.session.closed == DRAINING
        assert told.ended("gateway_lost") == 1


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "malformed_message"), (404, "malformed_message"), (500, "draining")]
)
async def test_what_http_itself_refuses_is_told_as_a_reason(status: int, reason: str) -> None:
    async with running(status=status) as told:
        await until(told.task.done)
        assert told.error().reason == reason
        assert told.session.closed is not None


async def test_a_client_that_leaves_is_a_close_after_all_that_it_said() -> None:
    async with running() as told:
        await told.end.socket()
        told.says.received(TEXT, START)
        told.says.closed(7, "enough")
        await until(lambda: told.end.is_left)
        assert told.end.heard == [(WSMsgType.TEXT, START.decode()), (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)]
        await until(told.task.done)
        assert told.session.closed is None, "it is over"
        assert told.ended("client") == 1


@pytest.mark.parametrize("code", [7, None])
async def test_a_gateway_that_is_behind_still_hears_what_was_said_before_the_client_left(code: int | None) -> None:
    async with running() as told:
        told.end.is_reading.clear()
        socket = await told.end.socket()
        for number in range(MANY):
            told.says.received(AUDIO, number.to_bytes(4, "big") * 500)
        told.says.received(TEXT, FINISH)
        told.says.closed(code, "")
        await socket.send_str("which nobody hears")
        for _ in range(10):
            await asyncio.sleep(0)
        assert not told.task.done()
        told.end.is_reading.set()
        await until(lambda: told.end.is_left)
        assert told.end.data == [*(number.to_bytes(4, "big") * 500 for number in range(MANY)), FINISH.decode()]


async def test_a_client_that_is_lost_while_the_gateway_is_asked_leaves_nothing() -> None:
    async with running() as told:
        await asyncio.sleep(0)
        told.says.closed(None, "")
        await until(told.task.done)
        assert told.ended("lost") == 1


async def test_the_end_of_the_stream_after_finish_waits_for_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hopped_session, "_HALF_CLOSED_S", 0.0)
    async with running() as told:
        socket = await told.end.socket()
        told.says.received(TEXT, FINISH)
        told.says.finished_sending()
        await until(lambda: len(told.end.heard) == 1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not told.end.is_left
        assert told.session.closed is None
        await socket.close(code=1000, message=b"finished")
        await until(told.task.done)
        assert told.session.closed == (1_000, "finished")


async def test_the_end_of_the_stream_without_finish_is_a_client_that_is_gone() -> None:
    async with running() as told:
        await told.end.socket()
        told.says.received(TEXT, START)
        told.says.finished_sending()
        await until(told.task.done)
        assert told.session.closed == (1_001, "client_gone")
        assert told.end.is_left


async def test_a_message_that_is_too_large_is_for_the_gateway_to_refuse() -> None:
    async with running() as told:
        await told.end.socket()
        told.says.too_large()
        told.says.received(TEXT, b"which has no meaning any more")
        await until(lambda: len(told.end.heard) == 1)
        assert told.end.data == [bytes(RULES.max_message_bytes + 1)]


async def test_what_is_no_stream_of_messages_is_malformed_and_says_why() -> None:
    breaks: tuple[Callable[[HoppedSession], None], ...] = (
        lambda says: says.broken("it ends within a message"),
        lambda says: says.received(4, b""),
    )
    for break_it in breaks:
        async with running() as told:
            await told.end.socket()
            break_it(told.says)
            assert told.error().reason == "malformed_message"
            assert told.session.closed == (4_400, "malformed_message")
            await until(lambda: told.end.is_left)  # it is over before the next
            assert told.ended("edge") == 1


async def test_datagrams_go_as_audio_and_what_is_lost_of_them_as_a_gap() -> None:
    async with running() as told:
        told.says.received(TEXT, START)
        told.says.datagram(encode_datagram(0, 0, b"\1\0\1\0"))
        told.says.datagram(encode_datagram(2, 4, b"\3\0\3\0"))
        told.says.received(MARK, encode_mark(3, 6))
        told.says.received(TEXT, FINISH)
        await until(lambda: len(told.end.heard) == 5)
        gap = '{"type":"gap","samples":2}'
        assert told.end.data == [START.decode(), b"\1\0\1\0", gap, b"\3\0\3\0", FINISH.decode()]


async def test_what_waits_for_a_lost_datagram_is_heard_when_the_client_leaves() -> None:
    async with running(replace(RULES, lane=LaneRules(reorder_ms=5_000, reorder_datagrams=8))) as told:
        await told.end.socket()
        told.says.received(TEXT, START)
        told.says.datagram(encode_datagram(1, 2, b"\3\0\3\0"))
        told.says.received(MARK, encode_mark(2, 4))
        told.says.received(TEXT, FINISH)
        told.says.closed(0, "")
        await until(lambda: told.end.is_left)
        assert told.end.data == [START.decode(), '{"type":"gap","samples":2}', b"\3\0\3\0", FINISH.decode()]


async def test_datagrams_that_contradict_each_other_end_the_session() -> None:
    async with running() as told:
        told.says.received(TEXT, START)
        told.says.datagram(encode_datagram(0, 0, b"\1\0\1\0"))
        told.says.datagram(encode_datagram(1, 1, b"\1\0"))
        assert told.error().reason == "malformed_message"


async def test_an_edge_that_ends_tells_its_clients_to_go_on_elsewhere() -> None:
    async with running() as told:
        await told.end.socket()
        told.says.gateway_gone()
        told.says.gateway_gone()
        assert told.error().reason == "draining"
        assert told.session.closed == DRAINING
        await until(lambda: told.end.is_left)


# --- who is slow --------------------------------------------------------------------------------------------------


async def test_a_gateway_that_reads_nothing_pauses_the_client_and_nothing_is_lost() -> None:
    async with running() as told:
        told.end.is_reading.clear()
        await told.end.socket()
        sent = 0
        while not told.session.is_paused:
            told.says.received(AUDIO, sent.to_bytes(4, "big") * 1_000)
            sent += 1
            await asyncio.sleep(0)
            assert sent < 10 * MANY, "it must pause at some time"
        told.end.is_reading.set()
        await until(lambda: not told.session.is_paused)
        await until(lambda: len(told.end.data) == sent)
        assert told.end.data == [number.to_bytes(4, "big") * 1_000 for number in range(sent)]


async def test_what_waits_behind_a_mark_pauses_the_client_too() -> None:
    async with running(replace(RULES, lane=LaneRules(reorder_ms=100, reorder_datagrams=8))) as told:
        await told.end.socket()
        told.says.received(TEXT, START)
        told.says.received(MARK, encode_mark(1, 2))
        for _ in range(100):
            told.says.received(TEXT, bytes(4_000))
        assert told.session.is_paused
        await until(lambda: not told.session.is_paused)
        await until(lambda: len(told.end.heard) > 1, what="what is behind the mark")


async def test_datagrams_cannot_be_paused_so_they_are_dropped_and_counted() -> None:
    async with running() as told:
        told.end.is_reading.clear()
        await told.end.socket()
        told.says.received(TEXT, START)
        for number in range(4 * MANY):
            told.says.datagram(encode_datagram(number, 500 * number, bytes(1_000)))
        dropped = told.registry.get_sample_value("patchbay_webtransport_datagrams_total", {"fate": "dropped"})
        assert dropped
        assert dropped < 2 * MANY
        assert told.session.is_paused


async def test_a_client_that_reads_nothing_stops_the_gateway() -> None:
    async with running() as told:
        socket = await told.end.socket()
        told.session.is_reading = False
        sending = asyncio.create_task(_send_many(socket, "x" * 8_000))
        await until(lambda: told.session.unsent_bytes > 64_000)
        before = len(told.session.sent)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(told.session.sent) == before < MANY
        assert not sending.done()
        told.session.read_all()
        await until(lambda: len(told.session.sent) == MANY)
        await sending


async def test_a_client_that_never_reads_is_given_up_though_its_connection_lives() -> None:
    async with running(replace(RULES, unread_s=0.05)) as told:
        socket = await told.end.socket()
        told.session.is_reading = False
        sending = asyncio.create_task(_send_many(socket, "x" * 8_000))
        await until(told.task.done)
        assert told.error().reason == "client_too_slow"
        assert told.session.closed == (4_429, "client_too_slow")
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send_many(socket: web.WebSocketResponse, text: str) -> None:
    for _ in range(MANY):
        await socket.send_str(text)
