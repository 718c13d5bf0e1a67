"""How words are written changes neither what is stable nor where anything lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.interface import Decoding, FinalResult, PartialResult, ProfanityHandling, RedactionKind, TextOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import SpeechStarted

    Event = SpeechStarted | PartialResult | FinalResult
    Recognise = Callable[..., list[Event]]
    Recording = Callable[[str], bytes]
    Milliseconds = Callable[[int], bytes]

DIALOGUE = "dialogue_awb.wav"
EVERYTHING = TextOptions(numerals=True, punctuation=True, profanity=ProfanityHandling.mask, redact=tuple(RedactionKind))


def finals(events: list[Event]) -> list[FinalResult]:
    return [event for event in events if isinstance(event, FinalResult)]


def text_of(events: list[Event]) -> str:
    return " ".join(final.text for final in finals(events) if final.text)


@pytest.mark.parametrize("decoding", list(Decoding))
@pytest.mark.parametrize("max_utterance_ms", [30_000, 2_500])
def test_what_is_stable_of_written_text_never_changes(
    recognise: Recognise,
    recording: Recording,
    transcripts: dict[str, dict[str, Any]],
    decoding: Decoding,
    max_utterance_ms: int,
) -> None:
    for name in transcripts:
        last = ("", 0)
        for event in recognise(recording(name), text=EVERYTHING, decoding=decoding, max_utterance_ms=max_utterance_ms):
            if isinstance(event, PartialResult):
                assert (event.text, event.stable_chars) != last
                assert event.text.startswith(last[0][: last[1]])
                assert event.stable_chars >= last[1]
                last = (event.text, event.stable_chars)
            elif isinstance(event, FinalResult):
                assert event.text.startswith(last[0][: last[1]])
                assert event.text == " ".join(word.text for word in event.words)
                last = ("", 0)


def test_how_words_are_written_moves_no_boundary(recognise: Recognise, recording: Recording) -> None:
    plain = finals(recognise(recording(DIALOGUE)))
    written = finals(recognise(recording(DIALOGUE), text=EVERYTHING))
    places = [(final.start_sample, final.end_sample, final.reason, bool(final.words)) for final in plain]
    assert [(final.start_sample, final.end_sample, final.reason, bool(final.words)) for final in written] == places


def test_numbers_come_in_digits_where_a_stream_wants_them(recognise: Recognise, recording: Recording) -> None:
    texts = [final.text for final in finals(recognise(recording(DIALOGUE), text=TextOptions(numerals=True)))]
    assert "transfer $200 to account 471" in texts
    assert "set the volume to 30%" in texts
