"""Promises of one gateway's link, with a call of its own in place of gRPC and everything behind it real."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.proto import engine_pb2
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser
from engines.server.link import Link, LinkEnd, LinkSettings
from engines.server.shelf import LoadedModel
from engines.server.streams import HostSettings, StreamHost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.unit

END_OF_CALL = object()


class Call:
    """A gateway's end of a link: what it sends, and what it read. `may_read` down: it does not read."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[object] = asyncio.Queue()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.is_answered = False
        self.messages: list[engine_pb2.FromEngine] = []
        self._came = asyncio.Event()

    async def send_initial_metadata(self, initial_metadata: tuple[tuple[str, str], ...]) -> None:
        self.is_answered = True

    async def read(self) -> object:
        return await self.sent.get()

    async def write(self, message: bytes) -> None:
        assert self.is_answered, "a write that also sends the metadata cannot be cancelled"
        await self.may_read.wait()
        self.messages.append(engine_pb2.FromEngine.FromString(message))
        self._came.set()

    def say(self, *commands: engine_pb2.StreamCommand, hello: bool = False) -> None:
        message = engine_pb2.ToEngine(commands=commands)
        if hello:
            message.hello.protocol_version = 1
        self.sent.put_nowait(message.SerializeToString())

    def ping(self, sequence: int, *, every_ms: int = 0) -> None:
        """`every_ms`: with a hello that promises it."""
        message = engine_pb2.ToEngine(ping=engine_pb2.Ping(sequence=sequence))
        if every_ms:
            message.hello.CopyFrom(engine_pb2.Hello(protocol_version=1, heartbeat_interval_ms=every_ms))
        self.sent.put_nowait(message.SerializeToString())

    @property
    def pongs(self) -> list[int]:
        return [message.pong.sequence for message in self.messages if message.HasField("pong")]

    def kinds(self, stream_id: int) -> list[str | None]:
        return [
            event.WhichOneof("event")
            for message in self.messages
            for event in message.events
            if event.stream_id == stream_id
        ]

    def texts(self, stream_id: int) -> list[str]:
        return [
            event.final.text
            for message in self.messages
            for event in message.events
            if event.stream_id == stream_id and event.HasField("final")
        ]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._came.clear()
                await self._came.wait()


@pytest.fixture
async def host() -> AsyncIterator[StreamHost]:
    made = new_host()
    yield made
    assert made.stop(timeout_ms=2_000)


def new_host() -> StreamHost:
    recogniser = ScriptedRecogniser(Script(window_ms=1_000), max_slots=8)
    host = StreamHost(HostSettings(pool="p"), on_death=[].append)
    host.shelf.add(LoadedModel(recogniser, recogniser.rehearse(max_batch=8), "a path"))
    host.start()
    return host


def link_to(host: StreamHost, **limits: int) -> tuple[Link, Call]:
    return Link(host, LinkSettings(heartbeat_interval_ms=500, **limits)), Call()


def opening(stream_id: int) -> engine_pb2.StreamCommand:
    message = engine_pb2.Open(session_id="s", epoch=1, min_trailing_silence_ms=800, max_utterance_ms=30_000)
    return engine_pb2.StreamCommand(stream_id=stream_id, open=message)


def audio(stream_id: int, value: int = 1, num_samples: int = BLOCK_SAMPLES) -> engine_pb2.StreamCommand:
    return engine_pb2.StreamCommand(stream_id=stream_id, audio=np.full(num_samples, value, "<i2").tobytes())


def finish(stream_id: int, at_sample: int = BLOCK_SAMPLES) -> engine_pb2.StreamCommand:
    return engine_pb2.StreamCommand(stream_id=stream_id, finish=engine_pb2.Cut(at_sample=at_sample))


async def test_a_link_answers_with_its_load_and_grants_in_one_message(host: StreamHost) -> None:
    link, call = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(opening(1), opening(2), hello=True)
        await call.until(lambda: bool(call.messages))
        assert (call.kinds(1), call.kinds(2)) == (["granted"], ["granted"])
        assert len(call.messages) == 1
        assert call.messages[0].load.slots_used == 2
        call.sent.put_nowait(END_OF_CALL)
        assert await running is LinkEnd.gateway_left
    assert host.open_streams == 0


@pytest.mark.parametrize(
    "first", [b"", b"\xff\xff\xff", END_OF_CALL, engine_pb2.ToEngine(hello={}).SerializeToString()]
)
async def test_a_link_without_a_proper_hello_is_closed(host: StreamHost, first: object) -> None:
    link, call = link_to(host)
    call.sent.put_nowait(first)
    assert await link.run(call) is LinkEnd.no_hello


async def test_a_gateway_that_says_nothing_is_not_waited_for(host: StreamHost) -> None:
    link, call = link_to(host, hello_timeout_ms=20)
    assert await link.run(call) is LinkEnd.no_hello


async def test_a_gateway_that_does_not_read_is_dropped_and_others_go_on(host: StreamHost) -> None:
    slow_link, slow = link_to(host, max_queued_events=50)
    quick_link, quick = link_to(host)
    slow.may_read.clear()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(quick_link.run(quick))
        quick.say(opening(1), hello=True)
        await quick.until(lambda: quick.kinds(1) == ["granted"])
        dropped = tasks.create_task(slow_link.run(slow))
        slow.say(opening(1), *[opening(stream_id) for stream_id in range(100, 200)], hello=True)
        assert await dropped is LinkEnd.too_slow
        assert host.open_streams == 1
        quick.say(audio(1, 4), finish(1))
        await quick.until(lambda: quick.texts(1) == ["w0v4"])
        running.cancel()


async def test_a_broken_connection_frees_its_slots(host: StreamHost) -> None:
    link, call = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(opening(1), opening(2), hello=True)
        await call.until(lambda: host.open_streams == 2)
        running.cancel()
    assert host.open_streams == 0


async def test_a_load_report_answers_the_hello_before_any_heartbeat(host: StreamHost) -> None:
    link, call = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(hello=True)
        await call.until(lambda: bool(call.messages))
        assert call.messages[0].HasField("load")
        running.cancel()


async def test_a_cancelled_stream_gives_its_slot_back_and_says_nothing_more(host: StreamHost) -> None:
    link, call = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        cancel = engine_pb2.StreamCommand(stream_id=1, cancel=engine_pb2.Cancel())
        call.say(opening(1), audio(1), cancel, audio(1), opening(2), audio(2, 8), finish(2), hello=True)
        await call.until(lambda: call.texts(2) == ["w0v8"])
        assert call.kinds(1) == ["granted"]
        running.cancel()


@pytest.mark.parametrize(
    "misuse",
    [
        [opening(1)],
        [engine_pb2.StreamCommand(stream_id=1, audio=b"abc")],
        [audio(1), audio(1), audio(1), audio(1), audio(1), audio(1)],
        [finish(1, at_sample=7)],
        [finish(1, at_sample=0), audio(1)],
    ],
)
async def test_a_stream_that_breaks_the_protocol_is_lost_alone(
    host: StreamHost, misuse: list[engine_pb2.StreamCommand]
) -> None:
    link, call = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(opening(1), opening(2), *misuse, audio(2, 3), finish(2), hello=True)
        await call.until(lambda: call.texts(2) == ["w0v3"])
        assert call.kinds(1)[-1] == "lost"
        assert call.kinds(1).count("lost") == 1
        assert host.open_streams == 0
        running.cancel()


async def test_a_stream_with_an_option_of_a_newer_gateway_is_refused_and_the_link_goes_on(host: StreamHost) -> None:
    link, call = link_to(host)
    newer = opening(1)
    newer.open.decoding = "oracle"
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(newer, opening(2), audio(1), finish(1), hello=True)
        await call.until(lambda: bool(call.kinds(1)) and bool(call.kinds(2)))
        call.sent.put_nowait(END_OF_CALL)
        assert await running is LinkEnd.gateway_left
    assert (call.kinds(1), call.kinds(2)) == (["refused"], ["granted"])
    (refused,) = [e.refused for message in call.messages for e in message.events if e.stream_id == 1]
    assert refused.reason == "bad_options"
    assert "greedy, beam" in refused.detail


async def test_a_long_queue_goes_out_in_messages_of_bounded_size(host: StreamHost) -> None:
    link, call = link_to(host, max_events_per_message=3)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(*[opening(stream_id) for stream_id in range(1, 21)], hello=True)
        await call.until(lambda: sum(len(message.events) for message in call.messages) == 20)
        assert max(len(message.events) for message in call.messages) == 3
        running.cancel()


async def test_a_stalled_engine_sends_no_load_report(host: StreamHost) -> None:
    link, call = link_to(host)
    host.is_stalled = True
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(opening(1), hello=True)
        await call.until(lambda: call.kinds(1) == ["refused"])
        assert not any(message.HasField("load") for message in call.messages)
        running.cancel()


async def test_a_ping_is_answered_at_once_with_the_engine_s_clock(host: StreamHost) -> None:
    link, call = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.ping(1, every_ms=60_000)
        await call.until(lambda: call.pongs == [1])
        call.ping(8)
        await call.until(lambda: call.pongs == [1, 8])
        assert abs(call.messages[-1].pong.unix_ms - time.time() * 1_000) < 5_000
        assert not call.messages[-1].HasField("load")
        running.cancel()


async def test_a_gateway_whose_pings_stop_is_gone_and_its_slots_are_free(host: StreamHost) -> None:
    link, call = link_to(host, silent_intervals=2)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.ping(1, every_ms=500)
        call.say(opening(1), opening(2))
        await call.until(lambda: host.open_streams == 2)
        assert await asyncio.wait_for(running, 60) is LinkEnd.gateway_silent
    assert host.open_streams == 0


async def test_a_gateway_that_promised_no_pings_is_waited_for(host: StreamHost) -> None:
    link, call = link_to(host, silent_intervals=1)
    beating_link, beating = link_to(host, silent_intervals=1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(call))
        call.say(opening(1), hello=True)
        await call.until(lambda: host.open_streams == 1)
        beating.ping(1, every_ms=100)
        assert await asyncio.wait_for(beating_link.run(beating), 60) is LinkEnd.gateway_silent
        assert not running.done()
        running.cancel()


async def test_a_gateway_under_a_name_that_is_not_its_own_is_turned_away(host: StreamHost) -> None:
    call = Call()
    link = Link(host, LinkSettings(heartbeat_interval_ms=500), admits=lambda name: name == "eu-west/1")
    call.say(hello=True)
    assert await link.run(call) is LinkEnd.not_trusted


int64s = st.integers(-(2**63), 2**63 - 1)
cuts = st.builds(engine_pb2.Cut, at_sample=st.sampled_from([0, 800, 8_000]) | int64s)
garbage_commands = st.lists(
    st.one_of(
        st.builds(engine_pb2.StreamCommand, stream_id=st.integers(0, 5), audio=st.binary(max_size=2_000)),
        st.builds(engine_pb2.StreamCommand, stream_id=st.integers(0, 5), finalize=cuts),
        st.builds(engine_pb2.StreamCommand, stream_id=st.integers(0, 5), finish=cuts),
        st.builds(engine_pb2.StreamCommand, stream_id=st.integers(0, 5), cancel=st.just(engine_pb2.Cancel())),
        st.builds(engine_pb2.StreamCommand, stream_id=st.integers(0, 5), open=st.just(opening(1).open)),
        st.builds(
            engine_pb2.StreamCommand,
            stream_id=st.integers(0, 5),
            open=st.builds(
                engine_pb2.Open,
                start_sample=int64s,
                epoch=st.integers(0, 2**32 - 1),
                max_utterance_ms=st.integers(-(2**31), 2**31 - 1),
                model=st.text(max_size=5),
            ),
        ),
        st.builds(engine_pb2.StreamCommand, stream_id=st.integers(0, 5)),
    ),
    max_size=12,
)
payloads = st.lists(st.binary(max_size=60) | garbage_commands, min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(payloads=payloads, breaks_off=st.booleans())
def test_whatever_one_link_sends_another_link_s_words_are_the_same(
    payloads: list[bytes | list[engine_pb2.StreamCommand]], breaks_off: bool
) -> None:
    asyncio.run(send_garbage_beside_a_good_link(payloads, breaks_off))


async def send_garbage_beside_a_good_link(
    payloads: list[bytes | list[engine_pb2.StreamCommand]], breaks_off: bool
) -> None:
    host = new_host()
    bad_link, bad = link_to(host)
    good_link, good = link_to(host)
    async with asyncio.TaskGroup() as tasks:
        good_run = tasks.create_task(good_link.run(good))
        bad_run = tasks.create_task(bad_link.run(bad))
        good.say(opening(1), audio(1, 1, 5_000), hello=True)
        bad.say(hello=True)
        for payload in payloads:
            if isinstance(payload, bytes):
                bad.sent.put_nowait(payload)
            else:
                bad.say(*payload)
        good.say(audio(1, 2, 5_000), finish(1, 10_000))
        if not breaks_off:
            bad.sent.put_nowait(END_OF_CALL)
            await bad_run
        await good.until(lambda: good.texts(1) == ["w0v1 w8000v2"])
        bad_run.cancel()
        good_run.cancel()
    assert host.open_streams == 0
    assert host.stop(timeout_ms=2_000)
