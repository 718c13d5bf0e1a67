"""An utterance ends at a pause, in silence, or at its longest; and for no other reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.endpointing import EndpointReason, EndpointSettings, UtteranceFacts, endpoint_reason

pytestmark = pytest.mark.unit

SETTINGS = EndpointSettings(min_trailing_silence_ms=800, max_utterance_ms=30_000, max_silence_without_speech_ms=5_000)

durations_ms = st.integers(min_value=0, max_value=60_000)
settings = st.builds(
    EndpointSettings,
    min_trailing_silence_ms=durations_ms,
    max_utterance_ms=durations_ms,
    max_silence_without_speech_ms=durations_ms,
)


@st.composite
def facts(draw: st.DrawFn) -> UtteranceFacts:
    utterance_ms = draw(durations_ms)
    return UtteranceFacts(
        has_words=draw(st.booleans()),
        trailing_silence_ms=draw(st.integers(min_value=0, max_value=utterance_ms)),
        utterance_ms=utterance_ms,
    )


@pytest.mark.parametrize(
    ("has_words", "trailing_silence_ms", "utterance_ms", "reason"),
    [
        (True, 799, 10_000, None),
        (True, 800, 10_000, EndpointReason.pause_after_speech),
        (True, 0, 29_999, None),
        (True, 0, 30_000, EndpointReason.max_length),
        (False, 800, 10_000, None),
        (False, 4_999, 4_999, None),
        (False, 5_000, 5_000, EndpointReason.silence_without_speech),
        (False, 0, 30_000, EndpointReason.max_length),
    ],
)
def test_an_utterance_ends_exactly_at_its_limits(
    has_words: bool, trailing_silence_ms: int, utterance_ms: int, reason: EndpointReason | None
) -> None:
    assert endpoint_reason(UtteranceFacts(has_words, trailing_silence_ms, utterance_ms), SETTINGS) == reason


def test_a_pause_comes_before_the_longest_length() -> None:
    assert endpoint_reason(UtteranceFacts(True, 900, 31_000), SETTINGS) == EndpointReason.pause_after_speech


def test_ongoing_speech_without_words_is_not_taken_for_silence() -> None:
    assert endpoint_reason(UtteranceFacts(False, 40, 12_000), SETTINGS) is None


@given(facts(), settings)
def test_every_ending_has_its_cause(facts: UtteranceFacts, settings: EndpointSettings) -> None:
    match endpoint_reason(facts, settings):
        case EndpointReason.pause_after_speech:
            assert facts.has_words
            assert facts.trailing_silence_ms >= settings.min_trailing_silence_ms
        case EndpointReason.silence_without_speech:
            assert not facts.has_words
            assert facts.trailing_silence_ms >= settings.max_silence_without_speech_ms
        case EndpointReason.max_length:
            assert facts.utterance_ms >= settings.max_utterance_ms
        case None:
            assert facts.utterance_ms < settings.max_utterance_ms


@given(facts(), settings, durations_ms)
def test_an_ending_that_was_due_stays_due_while_the_silence_goes_on(
    facts: UtteranceFacts, settings: EndpointSettings, more_ms: int
) -> None:
    later = UtteranceFacts(facts.has_words, facts.trailing_silence_ms + more_ms, facts.utterance_ms + more_ms)
    if endpoint_reason(facts, settings) is not None:
        assert endpoint_reason(later, settings) is not None
