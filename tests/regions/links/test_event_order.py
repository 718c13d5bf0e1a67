"""Promises of the order of events."""

from __future__ import annotations

import pytest

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    PartialResult,
    Progress,
    RefusalReason,
    Refused,
    SpeechStarted,
    StreamEvent,
)
from regions.links.event_order import EventOrder, ends_stream

pytestmark = pytest.mark.unit

GRANTED = Granted(1, "m", "v", 100)


def final(start: int, end: int, reason: EndReason = EndReason.finalize, epoch: int = 1) -> FinalResult:
    return FinalResult(epoch, start, end, "", (), reason)


def verdicts(*events: StreamEvent, sent_through_sample: int = 1_000, is_finishing: bool = False) -> list[bool]:
    order = EventOrder(epoch=1, start_sample=100)
    return [order.admits(event, sent_through_sample=sent_through_sample, is_finishing=is_finishing) for event in events]


def test_an_undisturbed_stream_is_admitted_whole() -> None:
    events: list[StreamEvent] = [
        GRANTED,
        Progress(1, 100, 0),
        SpeechStarted(1, 150),
        PartialResult(1, 100, 300, "a", 0),
        Progress(1, 500, 5),
        final(100, 500),
        final(500, 500),
        MoveAway(1, MoveReason.engine_slow, 5_000),
        MoveAway(1, MoveReason.region_draining, 0),
        Progress(1, 1_000, 5),
        final(500, 1_000, EndReason.finish),
    ]
    assert all(verdicts(*events, is_finishing=True))


@pytest.mark.parametrize(
    "illegal",
    [
        GRANTED,
        Refused(1, RefusalReason.draining),
        Progress(2, 500, 0),
        Progress(1, 399, 0),
        Progress(1, 1_001, 0),
        Progress(1, 500, -1),
        PartialResult(1, 299, 500, "", 0),
        PartialResult(1, 500, 499, "", 0),
        PartialResult(1, 300, 1_001, "", 0),
        SpeechStarted(1, 299),
        SpeechStarted(1, 1_001),
        final(299, 500),
        final(301, 500),
        final(300, 299),
        final(300, 1_001),
        final(300, 500, epoch=0),
        final(300, 500, EndReason.finish),
        MoveAway(2, MoveReason.operator, 5_000),
        MoveAway(1, MoveReason.operator, -1),
    ],
)
def test_what_contradicts_the_past_is_not_admitted(illegal: StreamEvent) -> None:
    assert verdicts(GRANTED, Progress(1, 400, 0), final(100, 300), illegal) == [True, True, True, False]


@pytest.mark.parametrize(
    "early", [Progress(1, 100, 0), SpeechStarted(1, 100), final(100, 100), MoveAway(1, MoveReason.operator, 9)]
)
def test_nothing_is_said_before_the_grant(early: StreamEvent) -> None:
    assert verdicts(early) == [False]


def test_a_slot_without_a_window_is_none() -> None:
    """Nothing could be sent to it, so that nothing would be owed, and its session would wait for ever."""
    assert verdicts(Granted(1, "m", "v", 0)) == [False]
    assert verdicts(Granted(1, "m", "v", -1)) == [False]


def test_a_stream_may_be_lost_at_any_time_of_its_own_epoch() -> None:
    assert verdicts(Lost(1, LossReason.drained)) == [True]
    assert verdicts(GRANTED, Lost(2, LossReason.drained)) == [True, False]


def test_a_stream_ends_with_its_last_final_or_a_loss_or_a_refusal() -> None:
    assert ends_stream(final(0, 1, EndReason.finish))
    assert ends_stream(Lost(1, LossReason.silent))
    assert ends_stream(Refused(1, RefusalReason.draining))
    assert not ends_stream(final(0, 1))
    assert not ends_stream(GRANTED)
    assert not ends_stream(MoveAway(1, MoveReason.operator, 0))
