"""The transcript: told once, in order, never revised."""

from __future__ import annotations

import pytest

from engines.interface import EndReason, FinalResult, PartialResult, SpeechStarted, Word
from gateway.session.transcript import Transcript
from gateway.wire.messages import FinalMessage, PartialMessage, SpeechStartedMessage, UtteranceEnd, WordMessage

pytestmark = pytest.mark.unit


def test_a_final_spans_its_words_and_its_utterance_ends_where_the_audio_was_cut() -> None:
    words = (Word("hello", 1_600, 3_200, 0.98765), Word("you", 4_800, 6_400, 1.0))
    final = FinalResult(1, 0, 16_000, "hello you", words, EndReason.pause_after_speech)
    assert Transcript().final(final) == [
        FinalMessage("hello you", 100, 400, (WordMessage("hello", 100, 200, 0.988), WordMessage("you", 300, 400, 1.0))),
        UtteranceEnd(1_000, "pause_after_speech"),
    ]


def test_speech_is_said_to_start_once_at_each_place() -> None:
    transcript = Transcript()
    assert transcript.speech_started(SpeechStarted(1, 320)) == [SpeechStartedMessage(20)]
    assert transcript.speech_started(SpeechStarted(2, 320)) == []
    assert transcript.speech_started(SpeechStarted(2, 640)) == [SpeechStartedMessage(40)]


def test_a_partial_that_reaches_no_further_than_the_last_one_is_not_shown() -> None:
    transcript = Transcript()
    assert transcript.partial(PartialResult(1, 0, 3_200, "a", 0)) == [PartialMessage("a", 0, 200, 0)]
    assert transcript.partial(PartialResult(2, 0, 3_200, "a", 0)) == []
    assert transcript.is_inside_speech


def test_words_that_are_final_are_not_shown_again_by_an_engine_that_is_still_in_their_utterance() -> None:
    transcript = Transcript()
    transcript.final(FinalResult(1, 0, 3_200, "", (), EndReason.pause_after_speech))
    assert transcript.partial(PartialResult(2, 0, 3_360, "a b", 0)) == []
    assert transcript.partial(PartialResult(2, 3_200, 3_360, "b", 0)) == [PartialMessage("b", 200, 210, 0)]


def test_after_a_final_the_next_utterance_begins_outside_speech() -> None:
    transcript = Transcript()
    transcript.partial(PartialResult(1, 0, 3_200, "a", 0))
    transcript.final(FinalResult(1, 0, 3_000, "", (), EndReason.silence_without_speech))
    assert not transcript.is_inside_speech
    assert transcript.committed_sample == 3_000
