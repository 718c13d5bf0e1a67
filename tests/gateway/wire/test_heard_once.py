"""What a client was told before a loss is not told again, and nothing that is new is kept from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.heard_once import HeardOnce
from gateway.wire.messages import (
    Ack,
    AudioLost,
    FinalMessage,
    PartialMessage,
    SpeechStartedMessage,
    UtteranceEnd,
    WordMessage,
)

pytestmark = pytest.mark.unit


def final(*words: tuple[str, int, int]) -> FinalMessage:
    said = tuple(WordMessage(text, start_ms, end_ms, 1.0) for text, start_ms, end_ms in words)
    return FinalMessage(" ".join(word.text for word in said), said[0].start_ms, said[-1].end_ms, said)


FIRST = final(("one", 100, 300), ("two", 400, 600))


def test_a_final_that_comes_again_is_dropped_by_its_position() -> None:
    heard = HeardOnce()
    assert heard.take(FIRST) == FIRST
    assert heard.take(UtteranceEnd(1_000, "finish")) == UtteranceEnd(1_000, "finish")
    assert heard.take(FIRST) is None
    assert heard.take(final(("won", 100, 300), ("two", 400, 600))) is None
    assert heard.take(UtteranceEnd(1_000, "finish")) is None
    assert heard.take(PartialMessage("one", 0, 600, 0)) is None
    assert heard.take(Ack(1_000)) == Ack(1_000)


def test_of_a_final_that_reaches_further_only_what_is_new_is_told() -> None:
    heard = HeardOnce()
    heard.take(FIRST)
    longer = final(("one", 100, 300), ("two", 400, 600), ("three", 700, 800))
    assert heard.take(longer) == final(("three", 700, 800))


def test_words_at_the_same_place_as_the_end_of_the_last_are_new() -> None:
    heard = HeardOnce()
    heard.take(FIRST)
    assert heard.take(final(("three", 600, 680))) == final(("three", 600, 680))


def test_speech_that_began_is_told_once() -> None:
    heard = HeardOnce()
    assert heard.take(SpeechStartedMessage(0)) is not None
    assert heard.take(SpeechStartedMessage(0)) is None
    assert heard.take(SpeechStartedMessage(900)) is not None


def test_audio_that_was_lost_is_told_once_and_where_more_of_it_is_only_that() -> None:
    heard = HeardOnce()
    assert heard.take(AudioLost(100, 300)) == AudioLost(100, 300)
    assert heard.take(AudioLost(100, 300)) is None
    assert heard.take(AudioLost(200, 400)) == AudioLost(300, 400)
    assert heard.take(AudioLost(900, 950)) == AudioLost(900, 950)


def test_audio_that_came_before_and_is_lost_when_it_is_sent_again_is_told() -> None:
    heard = HeardOnce()
    heard.take(AudioLost(5_000, 5_100))
    assert heard.take(AudioLost(4_000, 4_100)) == AudioLost(4_000, 4_100)
    assert heard.take(AudioLost(4_000, 4_100)) is None
    assert heard.take(AudioLost(4_050, 5_050)) == AudioLost(4_100, 5_000)
    assert heard.take(AudioLost(4_000, 5_100)) is None


def test_losses_behind_which_words_are_final_are_not_told_again() -> None:
    heard = HeardOnce()
    heard.take(AudioLost(100, 300))
    heard.take(FIRST)
    assert heard.take(AudioLost(100, 300)) is None
    assert heard.take(AudioLost(550, 700)) == AudioLost(600, 700)


LOSSES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12)


@given(LOSSES)
def test_every_place_that_is_lost_is_told_and_none_that_is_not(losses: list[tuple[int, int]]) -> None:
    heard = HeardOnce()
    lost: set[int] = set()
    told: set[int] = set()
    for start_ms, num_ms in losses:
        lost |= set(range(start_ms, start_ms + num_ms))
        message = heard.take(AudioLost(start_ms, start_ms + num_ms))
        if message is not None:
            assert isinstance(message, AudioLost)
            assert message.start_ms >= start_ms
            assert message.end_ms <= start_ms + num_ms
            told |= set(range(message.start_ms, message.end_ms))
    assert told == lost


@given(st.lists(st.integers(0, 3), max_size=8), st.integers(0, 8))
def test_a_transcript_that_is_told_again_from_any_utterance_reads_the_same(pauses: list[int], again_from: int) -> None:
    finals, at_ms = [], 0
    for number, pause in enumerate(pauses):
        finals.append(
            final((f"w{number}", at_ms + pause, at_ms + 100 + pause), (f"x{number}", at_ms + 200, at_ms + 300))
        )
        at_ms += 400
    heard = HeardOnce()
    told = [heard.take(each) for each in [*finals, *finals[again_from:]]]
    assert [each for each in told if each is not None] == finals
