"""A session's stream while placement looks for its engine, and after."""

from __future__ import annotations

import pytest

from engines.interface import (
    FinalResult,
    Granted,
    LossReason,
    OpenStream,
    PartialResult,
    Progress,
    StreamEvent,
    StreamOptions,
)
from regions.placed_stream import PlacedStream
from tests.fakes.engine_pool import FakeStream

pytestmark = pytest.mark.unit

OPEN = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())


class Pool:
    """Writes down what the stream tells its session's pool."""

    def __init__(self) -> None:
        self.heard_events: list[StreamEvent] = []
        self.reasons: list[LossReason | None] = []

    def heard(self, stream: PlacedStream, event: StreamEvent) -> None:
        self.heard_events.append(event)

    def given_up(self, stream: PlacedStream, reason: LossReason | None) -> None:
        self.reasons.append(reason)


def make() -> tuple[PlacedStream, Pool, FakeStream, list[StreamEvent]]:
    pool, events = Pool(), []  # type: ignore[var-annotated]
    stream = PlacedStream(OPEN, events.append, pool)
    stream.inner = engine = FakeStream(OPEN, stream.hear)
    return stream, pool, engine, events


def test_nothing_that_is_told_before_a_grant_reaches_the_engine() -> None:
    stream, _, engine, _ = make()
    stream.send_audio(b"\0\0")
    stream.finalize(1)
    stream.finish(1)
    assert (engine.audio, engine.cuts) == (b"", [])


def test_after_the_grant_its_methods_are_the_links_own() -> None:
    stream, _, engine, _ = make()
    stream.grant()
    assert (stream.send_audio, stream.finalize, stream.finish) == (engine.send_audio, engine.finalize, engine.finish)


def test_a_slot_that_nobody_asked_for_cannot_be_granted() -> None:
    stream = PlacedStream(OPEN, lambda _event: None, Pool())
    with pytest.raises(RuntimeError, match="nobody asked"):
        stream.grant()


def test_events_go_past_placement_when_it_has_nothing_to_learn_from_them() -> None:
    stream, pool, engine, events = make()
    final = FinalResult(1, 0, 1, "", (), "pause_after_speech")  # type: ignore[arg-type]
    engine.say(Progress(1, 1, 1))
    stream.is_proven = True
    engine.say(Progress(1, 2, 1))
    engine.say(PartialResult(1, 0, 2, "a", 0))
    engine.say(final)
    assert (pool.heard_events, events) == (
        [Progress(1, 1, 1), final],
        [Progress(1, 2, 1), PartialResult(1, 0, 2, "a", 0)],
    )


def test_it_is_cancelled_once_with_its_reason_and_nothing_comes_after() -> None:
    stream, pool, engine, events = make()
    stream.grant()
    stream.cancel(LossReason.silent)
    stream.cancel()
    stream.hear(Granted(1, "m", "1", 10))
    stream.send_audio(b"\0\0")
    assert (engine.is_cancelled, pool.reasons, pool.heard_events, events) == (True, [LossReason.silent], [], [])
    assert engine.audio == b""
