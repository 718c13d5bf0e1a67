"""A search and its keywords hear what was said, and replay as exactly as greedy decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.interface import Decoding, FinalResult, Keyword, PartialResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import SpeechStarted

    Event = SpeechStarted | PartialResult | FinalResult
    Recognise = Callable[..., list[Event]]
    Recording = Callable[[str], bytes]
    Milliseconds = Callable[[int], bytes]

DIALOGUE = "dialogue_awb.wav"


def finals(events: list[Event]) -> list[FinalResult]:
    return [event for event in events if isinstance(event, FinalResult)]


def text_of(events: list[Event]) -> str:
    return " ".join(final.text for final in finals(events) if final.text)


def test_a_search_hears_what_was_spoken_too(
    recognise: Recognise, recording: Recording, transcripts: dict[str, dict[str, Any]]
) -> None:
    exact = {name: entry["text"] for name, entry in transcripts.items() if entry["exact"]}
    assert {name: text_of(recognise(recording(name), decoding=Decoding.beam)) for name in exact} == exact


@pytest.mark.parametrize("max_utterance_ms", [30_000, 3_000])
def test_a_search_replays_exactly_from_any_final(
    recognise: Recognise, recording: Recording, max_utterance_ms: int
) -> None:
    audio = recording(DIALOGUE)
    options = {"keywords": (Keyword("seven of clubs", 3_000),), "max_utterance_ms": max_utterance_ms}
    events = recognise(audio, **options)
    for number, event in enumerate(events[:-1]):
        if isinstance(event, FinalResult):
            rest = audio[2 * event.end_sample :]
            assert recognise(rest, start_sample=event.end_sample, **options) == events[number + 1 :]


@pytest.mark.parametrize("max_utterance_ms", [30_000, 2_500])
def test_what_a_search_calls_stable_never_changes(
    recognise: Recognise, recording: Recording, max_utterance_ms: int
) -> None:
    stable = ""
    last = ("", 0)
    stable_lengths = []
    for event in recognise(recording(DIALOGUE), decoding=Decoding.beam, max_utterance_ms=max_utterance_ms):
        if isinstance(event, PartialResult):
            assert event.text.startswith(stable)
            assert event.stable_chars >= len(stable)
            assert (event.text, event.stable_chars) != last
            last = (event.text, event.stable_chars)
            stable = event.text[: event.stable_chars]
            stable_lengths.append(event.stable_chars)
        elif isinstance(event, FinalResult):
            assert event.text.startswith(stable)
            stable, last = "", ("", 0)
    assert max(stable_lengths) > 0
