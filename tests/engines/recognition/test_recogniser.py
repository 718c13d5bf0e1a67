"""What a client hears follows from its audio, options and cuts alone, and replays exactly from any final."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engines.errors import LinkMisused
from engines.interface import (
    Decoding,
    EndReason,
    FinalResult,
    Keyword,
    PartialResult,
    ProfanityHandling,
    RedactionKind,
    SpeechStarted,
    StreamOptions,
    TextOptions,
)
from engines.recognition.recogniser import Recogniser

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import OpenStream

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


def assert_tile(found: list[FinalResult], *, start_sample: int, end_sample: int) -> None:
    assert found[0].start_sample == start_sample
    assert all(earlier.end_sample == later.start_sample for earlier, later in pairwise(found))
    assert found[-1].end_sample == end_sample


# --- words -----------------------------------------------------------------------------------------------------------


def test_recordings_come_out_as_they_were_spoken(
    recognise: Recognise, recording: Recording, transcripts: dict[str, dict[str, Any]]
) -> None:
    exact = {name: entry["text"] for name, entry in transcripts.items() if entry["exact"]}
    assert len(exact) >= 5
    assert {name: text_of(recognise(recording(name))) for name in exact} == exact


def test_a_pause_ends_an_utterance_and_the_next_begins_in_silence(
    recognise: Recognise, recording: Recording, transcripts: dict[str, dict[str, Any]]
) -> None:
    sentences = transcripts[DIALOGUE]["sentences"]
    spoken = [final for final in finals(recognise(recording(DIALOGUE))) if final.words]
    assert [final.text for final in spoken] == [sentence["text"] for sentence in sentences]
    for final, sentence in zip(spoken, sentences, strict=True):
        assert final.reason == EndReason.pause_after_speech
        assert final.start_sample <= sentence["start_ms"] * 16
        assert final.end_sample >= sentence["end_ms"] * 16


def test_words_lie_in_order_inside_their_utterance(recognise: Recognise, recording: Recording) -> None:
    for final in finals(recognise(recording(DIALOGUE))):
        places = [final.start_sample]
        for word in final.words:
            assert 0 < word.confidence <= 1
            assert word.start_sample < word.end_sample
            places += [word.start_sample, word.end_sample]
        assert places == sorted(places)
        assert places[-1] <= final.end_sample
        assert final.text == " ".join(word.text for word in final.words)


def test_words_lie_where_they_were_spoken(
    recognise: Recognise, recording: Recording, transcripts: dict[str, dict[str, Any]]
) -> None:
    spoken = [final for final in finals(recognise(recording(DIALOGUE))) if final.words]
    for final, sentence in zip(spoken, transcripts[DIALOGUE]["sentences"], strict=True):
        assert abs(final.words[0].start_sample / 16 - sentence["start_ms"]) < 400
        assert abs(final.words[-1].end_sample / 16 - sentence["end_ms"]) < 400


@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_ten_seconds_without_speech_give_no_words(
    recognise: Recognise, request: pytest.FixtureRequest, kind: str
) -> None:
    audio: Milliseconds = request.getfixturevalue(kind)
    events = recognise(audio(10_000))
    assert [event.reason for event in finals(events)] == [EndReason.silence_without_speech, EndReason.finish]
    assert events == list(finals(events))
    assert text_of(events) == ""


# --- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_events_depend_neither_on_chunking_nor_on_who_shares_the_batch(
    recogniser: Recogniser,
    recognise: Recognise,
    recording: Recording,
    transcripts: dict[str, dict[str, Any]],
    open_stream: Callable[..., OpenStream],
    silence: Milliseconds,
    noise: Milliseconds,
    seed: int,
) -> None:
    dice = random.Random(seed)
    names = [DIALOGUE, *dice.sample(sorted(transcripts), 7)]
    streams = {}
    for slot, name in enumerate(dice.sample(names, len(names))[: recogniser.max_slots]):
        start = dice.randrange(100_000)
        lead = dice.choice([silence, noise])(dice.choice([0, 0, 1_700, 5_600]))
        options = {
            "max_utterance_ms": dice.choice([2_000, 30_000]),
            "min_trailing_silence_ms": dice.choice([300, 800]),
            "max_silence_without_speech_ms": dice.choice([1_500, 5_000]),
            "decoding": dice.choice(list(Decoding)),
            "keywords": dice.choice([(), (Keyword("seven of clubs"),)]),
            "text": dice.choice([TextOptions(), EVERYTHING]),
        }
        streams[slot] = (lead + recording(name), start, options)
    alone = {slot: recognise(pcm16, start_sample=s, **options) for slot, (pcm16, s, options) in streams.items()}

    for slot, (_, start, options) in streams.items():
        recogniser.open(slot, open_stream(start_sample=start, **options))
    sent = dict.fromkeys(streams, 0)
    together: dict[int, list[Event]] = {slot: [] for slot in streams}
    is_over = dict.fromkeys(streams, False)
    while not all(is_over.values()):
        for slot, (pcm16, start, _) in streams.items():
            if sent[slot] < len(pcm16) and dice.random() < 0.7:
                piece = pcm16[sent[slot] : sent[slot] + 2 * dice.choice([1, 160, 1_600, 8_000, 20_000])]
                recogniser.accept(slot, piece)
                sent[slot] += len(piece)
                if sent[slot] == len(pcm16):
                    recogniser.cut(slot, start + len(pcm16) // 2, is_last=True)
        ready = [slot for slot in streams if recogniser.is_ready(slot)]
        batch = dice.sample(ready, dice.randint(0, len(ready)))
        for result in recogniser.step(batch) if batch else []:
            together[result.slot] += result.events
            is_over[result.slot] = result.is_over
    for slot in streams:
        recogniser.close(slot)
    assert together == alone


@pytest.mark.parametrize("max_utterance_ms", [30_000, 3_000, 1_500])
def test_a_replay_from_any_final_gives_exactly_what_followed_it(
    recognise: Recognise, recording: Recording, silence: Milliseconds, max_utterance_ms: int
) -> None:
    audio = recording(DIALOGUE) + silence(7_000)
    events = recognise(audio, start_sample=777, max_utterance_ms=max_utterance_ms)
    assert len(finals(events)) >= 8
    for number, event in enumerate(events[:-1]):
        if isinstance(event, FinalResult):
            rest = audio[2 * (event.end_sample - 777) :]
            replayed = recognise(rest, start_sample=event.end_sample, max_utterance_ms=max_utterance_ms)
            assert replayed == events[number + 1 :]


def test_a_cut_is_where_it_was_asked_for_however_late_it_is_carried_out(
    recogniser: Recogniser, recognise: Recognise, recording: Recording, open_stream: Callable[..., OpenStream]
) -> None:
    audio = recording(DIALOGUE)[: 2 * 16_000 * 9]
    cuts = (20_001, 20_002, 77_777, 100_000)
    at_once = recognise(audio, cuts=cuts)
    assert [final.end_sample for final in finals(at_once) if final.reason == EndReason.finalize] == list(cuts)

    recogniser.open(0, open_stream())
    gradually: list[Event] = []
    sent = 0
    for cut in (*cuts, len(audio) // 2):
        while sent < cut:
            piece = min(1_000, cut - sent)
            recogniser.accept(0, audio[2 * sent : 2 * (sent + piece)])
            sent += piece
            while recogniser.is_ready(0):
                gradually += recogniser.step([0])[0].events
        recogniser.cut(0, cut, is_last=cut == len(audio) // 2)
        while recogniser.is_ready(0):
            gradually += recogniser.step([0])[0].events
    recogniser.close(0)
    assert gradually == at_once


def test_a_replay_from_a_cut_gives_exactly_what_followed_it(recognise: Recognise, recording: Recording) -> None:
    audio = recording(DIALOGUE)
    events = recognise(audio, cuts=(30_000, 80_000))
    at = next(n for n, event in enumerate(events) if isinstance(event, FinalResult) and event.end_sample == 30_000)
    assert recognise(audio[2 * 30_000 :], start_sample=30_000, cuts=(80_000,)) == events[at + 1 :]


def test_audio_behind_a_cut_is_not_heard_before_it(recognise: Recognise, recording: Recording) -> None:
    audio = recording(DIALOGUE)
    for cut in (15_000, 25_123, 31_999):
        alone = recognise(audio[: 2 * cut])
        followed = recognise(audio, cuts=(cut,))[: len(alone)]
        assert followed[:-1] == alone[:-1]
        assert finals(followed)[-1].words == finals(alone)[-1].words


# --- finals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_utterance_ms", [30_000, 4_000, 2_000, 400, 1])
@pytest.mark.parametrize("cuts", [(), (1_000_000,), (1_000_001, 1_050_000)])
def test_finals_tile_the_audio(
    recognise: Recognise, recording: Recording, silence: Milliseconds, max_utterance_ms: int, cuts: tuple[int, ...]
) -> None:
    audio = recording(DIALOGUE)[: 2 * 16_000 * 6] + silence(6_000)
    found = finals(recognise(audio, start_sample=1_000_000, cuts=cuts, max_utterance_ms=max_utterance_ms))
    assert_tile(found, start_sample=1_000_000, end_sample=1_000_000 + len(audio) // 2)
    assert all(final.end_sample > final.start_sample for final in found if final.end_sample not in cuts)


def test_a_cut_where_nothing_is_left_gives_an_empty_final(recognise: Recognise) -> None:
    assert recognise(b"", start_sample=500) == [FinalResult(3, 500, 500, "", (), EndReason.finish)]


def test_one_sample_is_an_utterance(recognise: Recognise) -> None:
    assert recognise(b"\x01\x00") == [FinalResult(3, 0, 1, "", (), EndReason.finish)]


def words_wrong(said: list[str], heard: list[str]) -> int:
    """Count words lost, doubled or changed."""
    distances = list(range(len(heard) + 1))
    for row, word in enumerate(said, start=1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(heard, start=1):
            best = min(distances[column] + 1, distances[column - 1] + 1, diagonal + (word != other))
            diagonal, distances[column] = distances[column], best
    return distances[-1]


@pytest.mark.parametrize("max_utterance_ms", [3_000, 5_000])
def test_speech_without_a_pause_is_cut_between_words(
    recognise: Recognise, recording: Recording, transcripts: dict[str, dict[str, Any]], max_utterance_ms: int
) -> None:
    # Sentences with 150 ms between them: far too little for an end of utterance.
    audio, said = b"", []
    for sentence in transcripts[DIALOGUE]["sentences"]:
        start, end = sentence["start_ms"] - 100, sentence["end_ms"] + 50
        audio += recording(DIALOGUE)[2 * 16 * start : 2 * 16 * end]
        said += sentence["text"].split()
    events = recognise(audio, max_utterance_ms=max_utterance_ms)
    found = finals(events)
    assert [final.reason for final in found[:-1]] == [EndReason.max_length] * (len(found) - 1)
    assert len(found) >= 3
    assert all(final.end_sample - final.start_sample <= 16 * (max_utterance_ms + 320) for final in found)
    # A model that begins in running speech may mishear a word; a lost or doubled stretch would be many.
    assert words_wrong(said, text_of(events).split()) <= 2


# --- partials and speech ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_utterance_ms", [30_000, 2_500])
def test_stable_characters_of_a_partial_never_change(
    recognise: Recognise, recording: Recording, max_utterance_ms: int
) -> None:
    stable = ""
    stable_lengths = []
    for event in recognise(recording(DIALOGUE), max_utterance_ms=max_utterance_ms):
        if isinstance(event, PartialResult):
            assert event.text.startswith(stable)
            stable = event.text[: event.stable_chars]
            stable_lengths.append(event.stable_chars)
        elif isinstance(event, FinalResult):
            assert event.text.startswith(stable)
            stable = ""
    assert max(stable_lengths) > 0


def test_partials_come_only_when_wanted_and_change_nothing_else(recognise: Recognise, recording: Recording) -> None:
    wanted = recognise(recording(DIALOGUE))
    unwanted = recognise(recording(DIALOGUE), wants_partials=False)
    assert unwanted == [event for event in wanted if not isinstance(event, PartialResult)]


def test_a_partial_comes_only_when_it_says_something_else(recognise: Recognise, recording: Recording) -> None:
    last = ("", 0)
    for event in recognise(recording(DIALOGUE)):
        if isinstance(event, PartialResult):
            assert (event.text, event.stable_chars) != last
            last = (event.text, event.stable_chars)
        elif isinstance(event, FinalResult):
            last = ("", 0)


def test_speech_starts_once_an_utterance_before_its_words(recognise: Recognise, recording: Recording) -> None:
    started: list[SpeechStarted] = []
    for event in recognise(recording(DIALOGUE)):
        if isinstance(event, SpeechStarted):
            started.append(event)
        elif isinstance(event, PartialResult):
            assert len(started) == 1
        else:
            assert len(started) == bool(event.words)
            for start in started:
                assert event.start_sample <= start.at_sample <= event.words[0].start_sample
            started = []


# --- slots and misuse ------------------------------------------------------------------------------------------------


def test_a_slot_is_free_again_after_close(
    recogniser: Recogniser, recognise: Recognise, recording: Recording, open_stream: Callable[..., OpenStream]
) -> None:
    expected = recognise(recording("digits_slt.wav"))
    recogniser.open(0, open_stream())
    recogniser.accept(0, recording(DIALOGUE))
    recogniser.step([0])
    recogniser.close(0)
    recogniser.close(0)
    assert not recogniser.is_ready(0)
    assert recognise(recording("digits_slt.wav")) == expected


def test_a_stream_is_ready_exactly_when_a_step_has_its_audio(
    recogniser: Recogniser, open_stream: Callable[..., OpenStream], silence: Milliseconds
) -> None:
    recogniser.open(0, open_stream())
    needed = 160 * 38 + 280
    recogniser.accept(0, bytes(2 * (needed - 1)))
    assert not recogniser.is_ready(0)
    recogniser.accept(0, bytes(2))
    assert recogniser.is_ready(0)
    (result,) = recogniser.step([0])
    assert (result.slot, result.audio_through_sample, result.is_over) == (0, needed, False)
    assert not recogniser.is_ready(0)
    recogniser.accept(0, bytes(2 * recogniser.step_samples))
    assert recogniser.is_ready(0)
    recogniser.close(0)


def test_progress_never_goes_back(
    recogniser: Recogniser, recording: Recording, open_stream: Callable[..., OpenStream]
) -> None:
    audio = recording(DIALOGUE)
    recogniser.open(0, open_stream(max_utterance_ms=2_000))
    recogniser.accept(0, audio)
    recogniser.cut(0, len(audio) // 2, is_last=True)
    through = [0]
    while recogniser.is_ready(0):
        through.append(recogniser.step([0])[0].audio_through_sample)
    recogniser.close(0)
    assert through == sorted(through)
    assert through[-1] == len(audio) // 2


def test_misuse_by_a_gateway_is_told(recogniser: Recogniser, open_stream: Callable[..., OpenStream]) -> None:
    recogniser.open(0, open_stream(start_sample=100))
    with pytest.raises(LinkMisused, match="whole samples"):
        recogniser.accept(0, b"\x00")
    recogniser.accept(0, bytes(20))
    with pytest.raises(LinkMisused, match="where the audio ends, 110, not 109"):
        recogniser.cut(0, 109, is_last=False)
    recogniser.cut(0, 110, is_last=True)
    with pytest.raises(LinkMisused, match="behind the cut that ends the stream"):
        recogniser.accept(0, bytes(2))
    with pytest.raises(LinkMisused, match="behind the cut that ends the stream"):
        recogniser.cut(0, 110, is_last=True)
    recogniser.close(0)


def test_options_that_cannot_be_kept_are_told(recogniser: Recogniser) -> None:
    assert recogniser.mistakes(StreamOptions(keywords=(Keyword("seven of clubs"),))) == []
    assert len(recogniser.mistakes(StreamOptions(min_trailing_silence_ms=1, keywords=(Keyword("\u00e9t\u00e9"),)))) == 2
