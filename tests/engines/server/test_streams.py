"""Promises of the stream host, over a real inference thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engines.errors import LinkMisused
from engines.interface import (
    FinalResult,
    Granted,
    LossReason,
    Lost,
    OpenStream,
    RefusalReason,
    Refused,
    StreamEvent,
    StreamOptions,
)
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser
from engines.server.shelf import LoadedModel
from engines.server.streams import MAX_PENDING_CUTS, HostedStream, HostSettings, StreamHost
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from engines.contract import StepResult

pytestmark = pytest.mark.unit


class Sink:
    """Collects what a link would send."""

    def __init__(self) -> None:
        self.events: list[tuple[int, StreamEvent]] = []
        self.over: list[int] = []
        self._changed = asyncio.Event()

    def send(self, stream_id: int, event: StreamEvent) -> None:
        self.events.append((stream_id, event))
        self._changed.set()

    def ended(self, stream_id: int) -> None:
        self.over.append(stream_id)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def finals(self, stream_id: int) -> list[str]:
        return [event.text for owner, event in self.events if owner == stream_id and isinstance(event, FinalResult)]


class BrokenRecogniser(ScriptedRecogniser):
    def step(self, slots: Sequence[int]) -> list[StepResult]:
        raise ZeroDivisionError


@pytest.fixture
async def make_host() -> AsyncIterator[Callable[..., StreamHost]]:
    made: list[StreamHost] = []

    def make(
        recogniser: ScriptedRecogniser | None = None,
        deaths: list[BaseException] | None = None,
        capacity: CapacityClass | None = None,
    ) -> StreamHost:
        settings = HostSettings(pool="p", capacity=capacity)
        host = StreamHost(settings, on_death=[].append if deaths is None else deaths.append)
        serving = recogniser or ScriptedRecogniser(Script(window_ms=1_000), max_slots=2)
        host.shelf.add(LoadedModel(serving, serving.rehearse(max_batch=serving.max_slots), "a path"))
        host.start()
        made.append(host)
        return host

    yield make
    for host in made:
        assert host.stop(timeout_ms=2_000)


def stream_of(start_sample: int = 0, **options: object) -> OpenStream:
    return OpenStream(
        session_id="s",
        tenant="t",
        epoch=1,
        start_sample=start_sample,
        options=StreamOptions(wants_partials=False, **options),  # type: ignore[arg-type]
    )


def block(value: int = 1, num_samples: int = BLOCK_SAMPLES) -> bytes:
    return np.full(num_samples, value, "<i2").tobytes()


@pytest.mark.parametrize(("capacity", "is_taken"), [("spot", False), ("reserved", True), (None, True)])
async def test_a_stream_for_another_class_of_machine_is_refused_by_an_engine_that_knows_its_own(
    make_host: Callable[..., StreamHost], capacity: str | None, *, is_taken: bool
) -> None:
    host, sink = make_host(capacity=None if capacity is None else CapacityClass(capacity)), Sink()
    asked = msgspec.structs.replace(stream_of(), classes=frozenset({CapacityClass.reserved}))
    assert (host.open(sink, 1, asked) is not None) == is_taken
    assert is_taken or sink.events == [(1, Refused(1, RefusalReason.not_permitted, None, "other_capacity"))]


def opened(host: StreamHost, sink: Sink, stream_id: int = 1) -> HostedStream:
    stream = host.open(sink, stream_id, stream_of())
    assert stream is not None
    return stream


@pytest.mark.parametrize(
    ("asked", "reason", "says"),
    [
        (stream_of(model="other"), RefusalReason.unknown_model, ""),
        (stream_of(model_version="other"), RefusalReason.unknown_model, ""),
        (stream_of(language="fr"), RefusalReason.unsupported_language, ""),
        (stream_of(min_trailing_silence_ms=99), RefusalReason.bad_options, "100 to 10000, not 99"),
        (stream_of(min_trailing_silence_ms=10_001), RefusalReason.bad_options, "100 to 10000, not 10001"),
        (stream_of(max_utterance_ms=1_999), RefusalReason.bad_options, "2000 to 60000, not 1999"),
        (stream_of(max_utterance_ms=60_001), RefusalReason.bad_options, "2000 to 60000, not 60001"),
        (stream_of(-1), RefusalReason.bad_options, "start_sample must not be negative"),
    ],
)
async def test_a_stream_that_cannot_be_served_is_refused_at_once_with_a_reason_and_what_was_expected(
    make_host: Callable[..., StreamHost], asked: OpenStream, reason: RefusalReason, says: str
) -> None:
    sink = Sink()
    assert make_host().open(sink, 1, asked) is None
    ((stream_id, refused),) = sink.events
    assert isinstance(refused, Refused)
    assert (stream_id, refused.reason, refused.retry_after_ms) == (1, reason, None)
    assert says in refused.detail
    assert bool(refused.detail) == bool(says)


async def test_every_mistake_in_a_stream_s_options_is_in_one_refusal(make_host: Callable[..., StreamHost]) -> None:
    sink = Sink()
    make_host().open(sink, 1, stream_of(min_trailing_silence_ms=1, max_utterance_ms=1))
    refused = sink.events[0][1]
    assert isinstance(refused, Refused)
    assert len(refused.detail.split("; ")) == 2


async def test_a_full_engine_refuses_until_a_slot_is_free_again(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    first = opened(host, sink, 1)
    opened(host, sink, 2)
    assert host.open(sink, 3, stream_of()) is None
    assert sink.events[-1] == (3, Refused(1, RefusalReason.no_free_slot, 500))
    host.cancel(first)
    host.cancel(first)
    assert host.load().slots_used == 1
    opened(host, sink, 4)
    assert sink.events[-1] == (4, Granted(1, "scripted", "scripted-4", 16_000))


async def test_a_draining_or_stalled_engine_takes_nobody(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    host.is_stalled = True
    host.open(sink, 1, stream_of())
    host.is_stalled = False
    host.begin_drain()
    host.open(sink, 2, stream_of())
    assert [event.reason for _, event in sink.events if isinstance(event, Refused)] == ["no_free_slot", "draining"]


async def test_a_finished_stream_gives_its_slot_back_after_its_last_final(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    stream = opened(host, sink)
    host.audio(stream, block(9))
    host.cut(stream, BLOCK_SAMPLES, is_last=True)
    host.wake()
    await sink.until(lambda: sink.over == [1])
    assert sink.finals(1) == ["w0v9"]
    assert host.load().slots_used == 0


async def test_what_comes_beyond_the_window_and_one_message_is_misuse(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(ScriptedRecogniser(Script(window_ms=1_000, step_delay_ms=200), max_slots=1)), Sink()
    stream = opened(host, sink)
    for _ in range(3):
        host.audio(stream, block())
    with pytest.raises(LinkMisused):
        host.audio(stream, block())


async def test_misuse_is_named_for_each_illegal_command(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    stream = opened(host, sink)
    with pytest.raises(LinkMisused, match="half a sample"):
        host.audio(stream, b"\0")
    with pytest.raises(LinkMisused, match="beyond the window"):
        host.audio(stream, block(num_samples=16_001))
    with pytest.raises(LinkMisused, match="where the audio ends"):
        host.cut(stream, 5, is_last=False)
    for _ in range(MAX_PENDING_CUTS):
        host.cut(stream, 0, is_last=False)
    with pytest.raises(LinkMisused, match="too many cuts"):
        host.cut(stream, 0, is_last=False)


async def test_nothing_may_follow_finish(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    stream = opened(host, sink)
    host.cut(stream, 0, is_last=True)
    with pytest.raises(LinkMisused):
        host.audio(stream, block())
    with pytest.raises(LinkMisused):
        host.cut(stream, 0, is_last=False)


async def test_answered_cuts_do_not_count_against_a_stream(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    stream = opened(host, sink)
    for count in range(1, 2 * MAX_PENDING_CUTS):
        host.cut(stream, 0, is_last=False)
        host.wake()
        await sink.until(lambda count=count: len(sink.finals(1)) == count)  # type: ignore[misc]


async def test_it_is_told_when_the_last_stream_is_over(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    await host.until_empty()
    stream = opened(host, sink)
    waiting = asyncio.create_task(host.until_empty())
    host.audio(stream, block(5))
    host.cut(stream, BLOCK_SAMPLES, is_last=True)
    host.wake()
    async with asyncio.timeout(60):
        await waiting
    assert sink.finals(1) == ["w0v5"]
    assert host.open_streams == 0


async def test_a_report_says_when_streams_should_be_gone_and_that_the_machine_is_at_risk(
    make_host: Callable[..., StreamHost],
) -> None:
    host = make_host()
    assert (host.load().leaves_in_ms, host.load().is_at_risk) == (0, False)
    now_s, changes = asyncio.get_running_loop().time(), host.slot_changes
    host.is_at_risk = True
    host.leave_by(now_s + 20)
    host.leave_by(now_s + 10)
    host.leave_by(now_s + 30)
    assert host.load().is_at_risk
    assert 9_000 < host.load().leaves_in_ms <= 10_000
    assert host.slot_changes == changes + 3
    host.leave_by(now_s - 1)
    assert host.load().leaves_in_ms == 1


async def test_an_inference_thread_that_dies_loses_every_stream_and_says_so(
    make_host: Callable[..., StreamHost],
) -> None:
    deaths: list[BaseException] = []
    host, sink = make_host(BrokenRecogniser(Script(), max_slots=3), deaths), Sink()
    for stream_id in (1, 2):
        stream = opened(host, sink, stream_id)
    host.audio(stream, block())
    host.wake()
    await sink.until(lambda: len(sink.over) == 2)
    lost = [(stream_id, event) for stream_id, event in sink.events if isinstance(event, Lost)]
    assert lost == [(1, Lost(1, LossReason.engine_failed)), (2, Lost(1, LossReason.engine_failed))]
    assert [type(error) for error in deaths] == [ZeroDivisionError]
    assert host.open(sink, 3, stream_of()) is None


async def test_a_stream_lost_on_its_link_hears_so_once(make_host: Callable[..., StreamHost]) -> None:
    host, sink = make_host(), Sink()
    stream = opened(host, sink)
    host.lose(stream, LossReason.protocol_broken)
    host.lose(stream, LossReason.drained)
    assert [event for _, event in sink.events if isinstance(event, Lost)] == [Lost(1, LossReason.protocol_broken)]
    assert sink.over == [1]
