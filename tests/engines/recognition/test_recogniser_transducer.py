"""Streams of a transducer end, are told of and are replayed like those of any other model."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from engines.contract import BackendSettings
from engines.interface import Decoding, EndReason, FinalResult, OpenStream, PartialResult, SpeechStarted, StreamOptions
from engines.recognition.recogniser import Recogniser, load_recogniser
from tests.harness.recordings import samples_of
from tests.models.lstm_transducer import LstmTransducer
from tests.models.transducer_parts import Joint
from tests.models.zipformer_transducer import ZipformerTransducer

if TYPE_CHECKING:
    from pathlib import Path

    from engines.recognition.stream import SlotEvent

BOTH_KINDS = {
    "zipformer2": ZipformerTransducer(joint=Joint(blank_bias=7.0)),
    "lstm": LstmTransducer(shift_frames=16, joint=Joint(blank_bias=7.0)),
}
SLOTS = 4


@pytest.fixture(scope="module", params=BOTH_KINDS, ids=str)
def recogniser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    folder: Path = BOTH_KINDS[request.param].write(tmp_path_factory.mktemp("transducer") / request.param)
    return load_recogniser(folder, BackendSettings(max_slots=SLOTS, threads=1))


def events_of(
    recogniser: Recogniser, pcm16: bytes, *, start_sample: int = 0, pieces: int = 1, slot: int = 0
) -> list[SlotEvent]:
    options = StreamOptions(min_trailing_silence_ms=300, max_utterance_ms=4_000)
    opening = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=start_sample, options=options)
    recogniser.open(slot, opening)
    dice = random.Random(pieces)
    places = sorted(dice.randrange(len(pcm16) // 2) * 2 for _ in range(pieces - 1))
    found: list[SlotEvent] = []
    for first, last in zip([0, *places], [*places, len(pcm16)], strict=True):
        recogniser.accept(slot, pcm16[first:last])
        if last == len(pcm16):
            recogniser.cut(slot, start_sample + last // 2, is_last=True)
        while recogniser.is_ready(slot):
            found += recogniser.step([slot])[0].events
    recogniser.close(slot)
    return found


@pytest.fixture(scope="module")
def dialogue() -> bytes:
    return samples_of("dialogue_awb.wav")[: 16_000 * 12].astype("<i2").tobytes()


def test_a_transducers_stream_has_all_events(recogniser: Recogniser, dialogue: bytes) -> None:
    events = events_of(recogniser, dialogue)
    finals = [event for event in events if isinstance(event, FinalResult)]
    assert finals[0].start_sample == 0
    assert [final.start_sample for final in finals[1:]] == [final.end_sample for final in finals[:-1]]
    assert finals[-1].end_sample == len(dialogue) // 2
    assert finals[-1].reason is EndReason.finish
    assert len(finals) > 1
    assert any(isinstance(event, SpeechStarted) for event in events)
    partials = [event.text for event in events if isinstance(event, PartialResult)]
    assert partials
    assert all(before != after for before, after in pairwise(partials))


def test_words_lie_inside_their_utterance_in_order(recogniser: Recogniser, dialogue: bytes) -> None:
    finals = [event for event in events_of(recogniser, dialogue) if isinstance(event, FinalResult)]
    for final in finals:
        assert " ".join(word.text for word in final.words) == final.text
        times = [time for word in final.words for time in (word.start_sample, word.end_sample)]
        assert times == sorted(times)
        assert all(final.start_sample <= time <= final.end_sample for time in times)
        assert all(0 < word.confidence <= 1 for word in final.words)


@pytest.mark.parametrize("pieces", [2, 9, 60])
def test_how_audio_was_cut_does_not_matter(recogniser: Recogniser, dialogue: bytes, pieces: int) -> None:
    events = events_of(recogniser, dialogue)
    whole = [event for event in events if isinstance(event, FinalResult)]
    parts = [
        event for event in events_of(recogniser, dialogue, pieces=pieces, slot=2) if isinstance(event, FinalResult)
    ]
    assert parts == whole


def test_a_replay_from_any_final_gives_the_same_events(recogniser: Recogniser, dialogue: bytes) -> None:
    events = events_of(recogniser, dialogue)
    ends = [number for number, event in enumerate(events) if isinstance(event, FinalResult)][:-1]
    for number in ends[:3]:
        final = events[number]
        assert isinstance(final, FinalResult)
        rest = dialogue[2 * final.end_sample :]
        assert events_of(recogniser, rest, start_sample=final.end_sample, slot=1) == events[number + 1 :]


def test_what_a_transducer_cannot_do_is_told(recogniser: Recogniser) -> None:
    assert recogniser.mistakes(StreamOptions()) == []
    (mistake,) = recogniser.mistakes(StreamOptions(decoding=Decoding.beam))
    assert "greedy" in mistake


def test_a_rehearsal_leaves_no_trace(recogniser: Recogniser, dialogue: bytes) -> None:
    before = events_of(recogniser, dialogue)
    times = recogniser.rehearse(max_batch=SLOTS)
    assert [time.batch for time in times] == [1, 2, 4]
    assert events_of(recogniser, dialogue) == before
