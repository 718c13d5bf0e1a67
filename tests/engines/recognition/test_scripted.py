"""Promises of the scripted recogniser."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import StepResult
from engines.errors import BackendFailed
from engines.interface import EndReason, FinalResult, OpenStream, PartialResult, StreamOptions
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def opened(start_sample: int = 0, *, wants_partials: bool = False) -> OpenStream:
    return OpenStream(
        session_id="s",
        tenant="t",
        epoch=1,
        start_sample=start_sample,
        options=StreamOptions(wants_partials=wants_partials),
    )


def ramp(start_sample: int, end_sample: int) -> bytes:
    """Audio whose every sample says where it lies."""
    return (np.arange(start_sample, end_sample) % 30_000).astype("<i2").tobytes()


def drain(recogniser: ScriptedRecogniser, slot: int = 0) -> list[StepResult]:
    results = []
    while recogniser.is_ready(slot):
        results += recogniser.step([slot])
        if results[-1].is_over:
            recogniser.close(slot)
    return results


def finals(results: list[StepResult]) -> list[FinalResult]:
    return [event for result in results for event in result.events if isinstance(event, FinalResult)]


def recognise(
    start_sample: int, end_sample: int, *, pieces: list[int], cuts: list[int], script: Script | None = None
) -> list[FinalResult]:
    """All finals of one stream whose audio comes in `pieces` (repeated), with cuts at these samples."""
    recogniser = ScriptedRecogniser(script or Script(), max_slots=1)
    recogniser.open(0, opened(start_sample))
    at, turn = start_sample, 0
    found: list[FinalResult] = []
    for border in [*sorted(cuts), end_sample]:
        while at < border:
            end = min(border, at + pieces[turn % len(pieces)])
            recogniser.accept(0, ramp(at, end))
            at, turn = end, turn + 1
            if turn % 3 == 0:
                found += finals(drain(recogniser))
        recogniser.cut(0, border, is_last=border == end_sample)
    return found + finals(drain(recogniser))


def test_words_name_their_block_and_its_first_sample() -> None:
    (final,) = recognise(0, 2 * BLOCK_SAMPLES + 100, pieces=[5_000], cuts=[])
    assert final.text == "w0v0 w8000v8000 w16000v16000"
    assert [(word.start_sample, word.end_sample) for word in final.words] == [
        (0, 8_000),
        (8_000, 16_000),
        (16_000, 16_100),
    ]
    assert final.reason is EndReason.finish


def test_an_utterance_ends_after_its_blocks_and_a_cut_at_its_end_gives_an_empty_final() -> None:
    first, second = recognise(0, 4 * BLOCK_SAMPLES, pieces=[1_600], cuts=[])
    assert (first.start_sample, first.end_sample, len(first.words)) == (0, 32_000, 4)
    assert (second.start_sample, second.end_sample, second.words) == (32_000, 32_000, ())


def test_a_partial_comes_after_every_block_if_it_is_wanted() -> None:
    recogniser = ScriptedRecogniser(Script(), max_slots=1)
    recogniser.open(0, opened(wants_partials=True))
    recogniser.accept(0, ramp(0, 3 * BLOCK_SAMPLES))
    partials = [e for result in drain(recogniser) for e in result.events if isinstance(e, PartialResult)]
    assert [partial.text.count("w") for partial in partials] == [1, 2, 3]
    assert all(partial.stable_chars == len(partial.text) for partial in partials)


positions = st.integers(0, 100_000)


@settings(max_examples=60, deadline=None)
@given(
    start=positions,
    length=st.integers(0, 90_000),
    pieces=st.lists(st.integers(1, 20_000), min_size=1, max_size=5),
    cut_fractions=st.lists(st.floats(0, 1), max_size=4),
)
def test_finals_tile_the_audio_and_do_not_depend_on_its_chunking(
    start: int, length: int, pieces: list[int], cut_fractions: list[float]
) -> None:
    end = start + length
    cuts = [start + int(length * fraction * 0.999) for fraction in cut_fractions]
    cuts = [cut for cut in cuts if cut < end]
    found = recognise(start, end, pieces=pieces, cuts=cuts)
    assert found[0].start_sample == start
    assert found[-1].end_sample == end
    assert all(before.end_sample == after.start_sample for before, after in itertools.pairwise(found))
    assert set(cuts) <= {final.end_sample for final in found}
    assert found == recognise(start, end, pieces=[length + 1], cuts=cuts)


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 150_000), pieces=st.lists(st.integers(1, 9_000), min_size=1, max_size=4), at=st.integers(0, 9)
)
def test_a_replay_from_the_end_of_any_final_gives_the_same_words(length: int, pieces: list[int], at: int) -> None:
    cut = length // 3
    whole = recognise(0, length, pieces=pieces, cuts=[cut])
    kept = whole[: at % len(whole) + 1]
    if kept[-1].reason is EndReason.finish:
        return
    is_cut_answered = any(final.reason is EndReason.finalize for final in kept)
    replayed = recognise(kept[-1].end_sample, length, pieces=pieces[::-1], cuts=[] if is_cut_answered else [cut])
    assert kept + replayed == whole


def test_a_cut_inside_the_last_block_of_an_utterance_gives_one_final() -> None:
    (first, second) = recognise(0, 40_000, pieces=[1_600], cuts=[31_000])
    assert (first.end_sample, first.reason, len(first.words)) == (31_000, EndReason.finalize, 4)
    assert second.start_sample == 31_000


def test_streams_that_share_a_batch_do_not_see_each_other() -> None:
    recogniser = ScriptedRecogniser(Script(), max_slots=3)
    for slot in (0, 2):
        recogniser.open(slot, opened())
        recogniser.accept(slot, np.full(BLOCK_SAMPLES, slot, "<i2").tobytes())
        recogniser.cut(slot, BLOCK_SAMPLES, is_last=True)
    recogniser.step([2, 0])
    two, zero = recogniser.step([2, 0])
    assert [final.text for final in finals([zero, two])] == ["w0v0", "w0v2"]
    assert two.is_over


def test_a_silent_engine_takes_audio_and_is_never_ready() -> None:
    recogniser = ScriptedRecogniser(Script(silent_after_words=2), max_slots=1)
    recogniser.open(0, opened())
    recogniser.accept(0, ramp(0, 5 * BLOCK_SAMPLES))
    assert len(drain(recogniser)) == 2
    recogniser.accept(0, ramp(0, 5 * BLOCK_SAMPLES))
    assert not recogniser.is_ready(0)


def test_a_failing_engine_fails_once() -> None:
    recogniser = ScriptedRecogniser(Script(fail_after_words=1), max_slots=1)
    recogniser.open(0, opened())
    recogniser.accept(0, ramp(0, 3 * BLOCK_SAMPLES))
    recogniser.step([0])
    with pytest.raises(BackendFailed):
        recogniser.step([0])
    assert len(drain(recogniser)) == 2


def test_options_out_of_range_are_told() -> None:
    scripted = ScriptedRecogniser(Script(), max_slots=1)
    assert scripted.mistakes(StreamOptions()) == []
    assert len(scripted.mistakes(StreamOptions(max_utterance_ms=1))) == 1


def test_whose_audio_was_taken_is_written_down_where_the_script_says_so(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    recogniser = ScriptedRecogniser(Script(heard_file=str(heard)), max_slots=1)
    recogniser.open(0, opened(100))
    recogniser.accept(0, ramp(100, 600))
    recogniser.accept(0, ramp(600, 700))
    lines = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(line["session"], line["from_sample"], line["to_sample"]) for line in lines] == [
        ("s", 100, 600),
        ("s", 600, 700),
    ]
    assert 0 < lines[0]["at_s"] <= lines[1]["at_s"]
