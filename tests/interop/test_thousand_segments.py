"""The words of sherpa-onnx, with greedy decoding on the same model: 60 pieces of audio, with `--long` 1,000 and more.

Each piece is one utterance for both. Ours are recognised sixteen at a time, in batches that change with every step.
Skipping of silence is off: sherpa-onnx runs its model over all audio. A second report says what skipping changes.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.contract import BackendSettings
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.recogniser import Recogniser, load_recogniser
from engines.server.options import EMBEDDED_MODEL
from tests.harness.recordings import RATE_HZ, word_errors
from tests.interop.segments import LONGEST_S, SHORTEST_S, Segment, random_segments, whole_recordings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

pytestmark = pytest.mark.interop

SEED = 3
SHORT, LONG = 43, 1_000
AT_ONCE = 16
NEVER_MS = 1 << 40
TAIL = np.zeros(9_600, np.float32)
"""sherpa-onnx wants silence behind the last word, to fill its last window."""
MOST_CHANGED_BY_SKIPPING = 0.05


@pytest.fixture(scope="module")
def segments(is_long: bool) -> list[Segment]:
    return [*whole_recordings(), *random_segments(LONG if is_long else SHORT, seed=SEED)]


@pytest.fixture(scope="module")
def theirs(segments: list[Segment]) -> list[str]:
    """What sherpa-onnx hears."""
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    recogniser = sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
        tokens=str(EMBEDDED_MODEL / "tokens.txt"), model=str(EMBEDDED_MODEL / "model.onnx"), num_threads=1
    )
    return [sherpa_text(recogniser, segment) for segment in segments]


def sherpa_text(recogniser: Any, segment: Segment) -> str:
    stream = recogniser.create_stream()
    stream.accept_waveform(RATE_HZ, np.concatenate([segment.samples.astype(np.float32) / 32_768, TAIL]))
    stream.input_finished()
    while recogniser.is_ready(stream):
        recogniser.decode_stream(stream)
    result = recogniser.get_result(stream)
    return " ".join((result if isinstance(result, str) else result.text).split())


def our_texts(segments: Sequence[Segment], *, skips_silence: bool) -> list[str]:
    settings = BackendSettings(max_slots=AT_ONCE, threads=1)
    recogniser = load_recogniser(EMBEDDED_MODEL, settings, skips_silence=skips_silence)
    dice = random.Random(SEED)
    return [text for group in in_groups(segments) for text in texts_of_group(recogniser, group, dice)]


def in_groups(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    remaining = iter(segments)
    while group := list(itertools.islice(remaining, AT_ONCE)):
        yield group


def texts_of_group(recogniser: Recogniser, group: list[Segment], dice: random.Random) -> list[str]:
    """One utterance for each; a step takes whichever of the streams the dice say."""
    options = StreamOptions(
        min_trailing_silence_ms=NEVER_MS, max_utterance_ms=NEVER_MS, max_silence_without_speech_ms=NEVER_MS
    )
    for slot, segment in enumerate(group):
        recogniser.open(slot, OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=options))
        recogniser.accept(slot, segment.samples.astype("<i2").tobytes())
        recogniser.cut(slot, len(segment.samples), is_last=True)
    finals: dict[int, str] = {}
    while ready := [slot for slot in range(len(group)) if recogniser.is_ready(slot)]:
        for result in recogniser.step(dice.sample(ready, dice.randint(1, len(ready)))):
            for event in result.events:
                if isinstance(event, FinalResult):
                    assert result.slot not in finals, f"{group[result.slot]} ended twice"
                    finals[result.slot] = event.text
    for slot in range(len(group)):
        recogniser.close(slot)
    return [finals[slot] for slot in range(len(group))]


@dataclass(frozen=True, slots=True)
class Difference:
    segment: Segment
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.segment.name} {self.segment.made}\n  sherpa-onnx: {self.theirs}\n  ours:        {self.ours}"


def differences(segments: list[Segment], theirs: list[str], ours: list[str]) -> list[Difference]:
    rows = zip(segments, theirs, ours, strict=True)
    return [Difference(segment, their, our) for segment, their, our in rows if their != our]


def told(title: str, segments: list[Segment], theirs: list[str], found: list[Difference]) -> str:
    words = sum(len(text.split()) for text in theirs)
    changed = sum(word_errors(row.theirs.split(), row.ours.split()) for row in found)
    audio_s = sum(len(segment.samples) for segment in segments) / RATE_HZ
    head = (
        f"\n{title}: {len(segments)} segments, {audio_s / 60:.0f} minutes, {words} words of sherpa-onnx's; "
        f"{len(found)} segments differ, by {changed} words"
    )
    return "\n".join([head, *map(str, found)])


@pytest.mark.timeout(1_800)
def test_the_words_of_every_segment_are_those_of_sherpa_onnx(
    segments: list[Segment], theirs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = differences(segments, theirs, our_texts(segments, skips_silence=False))
    report = told("Greedy decoding", segments, theirs, found)
    with capsys.disabled():
        print(report)
    assert sum(bool(text) for text in theirs) > len(segments) // 2, "sherpa-onnx heard next to nothing"
    assert not found, report


@pytest.mark.timeout(1_800)
def test_skipping_silence_changes_the_words_of_few_segments(
    segments: list[Segment], theirs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = differences(segments, theirs, our_texts(segments, skips_silence=True))
    report = told("With silence skipped", segments, theirs, found)
    with capsys.disabled():
        print(report)
    assert len(found) <= MOST_CHANGED_BY_SKIPPING * len(segments), report


@pytest.mark.parametrize("seed", range(3))
def test_segments_are_the_same_for_a_seed_and_have_the_lengths_they_should(seed: int) -> None:
    few, more = list(random_segments(20, seed=seed)), list(random_segments(40, seed=seed))
    assert [row.made for row in few] == [row.made for row in more[:20]]
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(few, more, strict=False))
    assert all(SHORTEST_S * RATE_HZ - 1 <= len(row.samples) <= LONGEST_S * RATE_HZ for row in more)
