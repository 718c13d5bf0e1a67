"""An engine takes so many replays at once that each catches up fast, and takes all of them in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engines.batching.loop import InferenceLoop
from engines.interface import OpenStream, StreamOptions
from engines.proto import engine_pb2
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser
from engines.server.replays import REPLAY_RETRY_MS, ReplaysUnderWay
from engines.server.shelf import LoadedModel, ModelShelf
from engines.server.streams import HostedStream
from policies.replay_share import ReplayLimits, Room, replays_at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engines.server.shelf import ShelvedModel
    from tests.engines.server.conftest import EngineProcess, HandLink

NEAR_SAMPLES = 2 * BLOCK_SAMPLES


class Sink:
    def send(self, stream_id: int, event: object) -> None:
        """Nobody listens."""

    def ended(self, stream_id: int) -> None:
        """Nobody listens."""


def _ignore(_said: object) -> None:
    """The inference thread never starts."""


class Floor:
    """A shelf with one model, whose inference thread never starts, and a clock."""

    def __init__(self, *, slots: int, step_delay_ms: int = 0) -> None:
        self.now_ms = 0
        self.shelf = ModelShelf(InferenceLoop(deliver=_ignore, on_death=_ignore), max_batch=0, busy_permille=0)
        recogniser = ScriptedRecogniser(Script(step_delay_ms=step_delay_ms), max_slots=slots)
        self.model: ShelvedModel = self.shelf.add(LoadedModel(recogniser, recogniser.rehearse(max_batch=slots), "a"))
        self.replays = ReplaysUnderWay(self.shelf, ReplayLimits(250), lambda: self.now_ms)

    def open(self, *, is_replay: bool) -> HostedStream:
        asked = OpenStream(
            session_id="s", tenant="t", epoch=2, start_sample=800, options=StreamOptions(), is_replay=is_replay
        )
        stream = HostedStream(Sink(), 1, asked, window_samples=self.model.window_samples)
        slot = self.model.table.allocate(stream)
        assert slot is not None
        stream.slot = slot
        if is_replay:
            self.replays.began(stream, self.model)
        return stream

    def fill(self) -> int:
        """Open replays until no more are admitted; how many there were."""
        before = self.replays.catching_up
        while self.replays.admits(self.model):
            self.open(is_replay=True)
        return self.replays.catching_up - before


@pytest.mark.unit
def test_a_full_engine_takes_as_many_as_its_share_holds_at_four_times_the_pace_and_an_empty_one_more() -> None:
    full, empty = Floor(slots=48), Floor(slots=48)
    for _ in range(40):
        full.open(is_replay=False)
    assert full.fill() == 5, "(12 + the last 3 free) / 3"
    assert empty.fill() == 15, "(12 + the last 33 free) / 3"


@pytest.mark.unit
def test_where_steps_are_slow_more_go_on_side_by_side() -> None:
    """Each takes no more compute than one row after the other, however long its backlog is."""
    slow, fast = Floor(slots=48, step_delay_ms=250), Floor(slots=48)
    assert slow.fill() > fast.fill()


@pytest.mark.unit
def test_one_replay_is_taken_however_full_the_engine_is() -> None:
    floor = Floor(slots=2)
    floor.open(is_replay=False)
    assert floor.fill() == 1


@pytest.mark.unit
def test_a_replay_counts_until_hardly_any_of_its_audio_waits() -> None:
    floor = Floor(slots=12)
    stream = floor.open(is_replay=True)
    stream.received_through_sample += 4 * BLOCK_SAMPLES
    floor.now_ms = 60_000
    assert floor.replays.catching_up == 1
    stream.consumed_through_sample = stream.received_through_sample - NEAR_SAMPLES
    assert floor.replays.catching_up == 0
    stream.received_through_sample += 4 * BLOCK_SAMPLES
    assert floor.replays.catching_up == 0, "later it is a client that sends too fast"


@pytest.mark.unit
def test_a_replay_whose_audio_is_on_its_way_counts_but_not_for_ever() -> None:
    floor = Floor(slots=12)
    silent, began = floor.open(is_replay=True), floor.open(is_replay=True)
    began.received_through_sample += 1
    counts = []
    for floor.now_ms in (99, 100, 1_999, 2_000):
        counts.append(floor.replays.catching_up)
    assert counts == [2, 1, 1, 0]
    assert silent.received_through_sample == 800


@pytest.mark.unit
def test_a_replay_that_ended_counts_no_more_even_if_its_slot_is_taken_again() -> None:
    floor = Floor(slots=12)
    stream = floor.open(is_replay=True)
    floor.shelf.release(stream.slot)
    floor.open(is_replay=False)
    assert floor.replays.catching_up == 0


@pytest.mark.integration
async def test_lost_sessions_that_come_all_at_once_catch_up_a_few_at_a_time_and_all_get_in(
    start_engine: Callable[..., Awaitable[EngineProcess]], dial: Callable[[str], Awaitable[HandLink]]
) -> None:
    """What the engine lets in is read from its own events, in the order in which it sent them."""
    slots, sessions, backlog = 24, 20, 8 * BLOCK_SAMPLES
    engine = await start_engine("--slots", str(slots), "--replay-share-permille", "250", "--script", "step_delay_ms=5")
    link = await dial(engine.address)
    refusals, granted, most = 0, 0, 0
    under_way: set[int] = set()
    caps: list[int] = []
    one_at_a_time = asyncio.Lock()

    async def ask(stream_id: int, *, after_ms: int = 0) -> None:
        await asyncio.sleep(after_ms / 1_000)
        async with one_at_a_time:
            await link.send(_replay(stream_id))

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for stream_id in range(1, sessions + 1):
            await ask(stream_id)
        while granted < sessions or under_way:
            read = len(link.events)
            assert await link.read()
            for event in link.events[read:]:
                match event.WhichOneof("event"):
                    case "granted":
                        caps.append(_cap(slots, used=granted))
                        granted += 1
                        under_way.add(event.stream_id)
                        most = max(most, len(under_way))
                        assert len(under_way) <= caps[-1]
                        audio = engine_pb2.StreamCommand(stream_id=event.stream_id, audio=bytes(2 * backlog))
                        async with one_at_a_time:
                            await link.send(audio)
                    case "refused":
                        refusals += 1
                        assert event.refused.reason == "no_free_slot"
                        assert event.refused.retry_after_ms == REPLAY_RETRY_MS
                        tasks.create_task(ask(event.stream_id, after_ms=REPLAY_RETRY_MS))
                    case "progress" if event.progress.audio_through_sample >= backlog - NEAR_SAMPLES:
                        under_way.discard(event.stream_id)
                    case _:
                        pass
    assert refusals >= sessions - caps[0]
    assert most > 1


def _cap(slots: int, *, used: int) -> int:
    room = Room(slots, slots_free=slots - used)
    return replays_at_once(room, speed_permille=4_000, limits=ReplayLimits(250))


def _replay(stream_id: int) -> engine_pb2.StreamCommand:
    asked = engine_pb2.Open(
        session_id=f"s{stream_id}", tenant="t", epoch=2, min_trailing_silence_ms=800, is_replay=True
    )
    asked.max_utterance_ms = 30_000
    return engine_pb2.StreamCommand(stream_id=stream_id, open=asked)
