"""Our text of streaming transducers is that of sherpa-onnx for the same files, with random weights.

sherpa-onnx keeps the encoder's state over a reset, we forget everything where an utterance ends: so its texts between
resets together are compared with ours of one utterance, and ours behind a cut with its text of a new stream.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.contract import BackendSettings
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.recogniser import Recogniser, load_recogniser
from tests.harness.recordings import samples_of, transcripts
from tests.models.lstm_transducer import LstmTransducer
from tests.models.signals import a_signal, cut_anywhere
from tests.models.transducer_parts import Joint
from tests.models.zipformer_transducer import Stack, ZipformerTransducer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.models.signals import Samples

pytestmark = pytest.mark.interop

NEVER_MS = 1 << 40
ROW_SAMPLES, ROW_S = 640, 0.04
TAIL = np.zeros(9_600, np.float32)
SLOTS = 8
MODELS = {
    "zipformer2": ZipformerTransducer(),
    "zipformer2-half-chunks": ZipformerTransducer(
        stacks=(Stack(layers=1), Stack(dim=40, heads=5, query_head_dim=8, downsampling=2)),
        shift_frames=16,
        left_frames=32,
        joint=Joint(context_size=1, vocab_size=45),
        seed=8,
    ),
    "lstm": LstmTransducer(),
    "lstm-with-projection": LstmTransducer(d_model=24, rnn_hidden_size=56, layers=3),
    "lstm-four-rows": LstmTransducer(shift_frames=16, joint=Joint(context_size=3)),
}
SEEDS = range(24)


class Both:
    """One model in both runtimes."""

    def __init__(self, sherpa_onnx: Any, folder: Path) -> None:
        files = {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder", "joiner")}
        self.theirs = sherpa_onnx.OnlineRecognizer.from_transducer(
            tokens=str(folder / "tokens.txt"), num_threads=1, temperature_scale=1.0, **files
        )
        self.ours: Recogniser = load_recogniser(
            folder, BackendSettings(max_slots=SLOTS, threads=1), skips_silence=False
        )

    def their_text(self, pieces: Sequence[Samples]) -> str:
        return " ".join("".join(self.their_segments(pieces, resets_after=frozenset())).split())

    def their_segments(self, pieces: Sequence[Samples], *, resets_after: frozenset[int]) -> list[str]:
        """Give the texts between resets, as they are."""
        stream = self.theirs.create_stream()
        texts = []
        for number, piece in enumerate([*pieces, TAIL]):
            stream.accept_waveform(16_000, piece if piece is TAIL else piece.astype(np.float32) / 32_768)
            if piece is TAIL:
                stream.input_finished()
            while self.theirs.is_ready(stream):
                self.theirs.decode_stream(stream)
            if number in resets_after:
                texts.append("".join(self.theirs.get_result_all(stream).tokens))
                self.theirs.reset(stream)
        return [*texts, "".join(self.theirs.get_result_all(stream).tokens)]

    def their_words(self, samples: Samples) -> list[tuple[str, int, float]]:
        """Give each word with the row of its first piece and the geometric mean of its pieces' probabilities."""
        stream = self.theirs.create_stream()
        stream.accept_waveform(16_000, np.concatenate([samples.astype(np.float32) / 32_768, TAIL]))
        stream.input_finished()
        while self.theirs.is_ready(stream):
            self.theirs.decode_stream(stream)
        result = self.theirs.get_result_all(stream)
        words: list[tuple[str, int, list[float]]] = []
        for piece, at_s, log_probability in zip(result.tokens, result.timestamps, result.ys_probs, strict=True):
            if piece.startswith(" ") or not words:
                words.append(("", round(at_s / ROW_S), []))
            text, row, log_probabilities = words[-1]
            words[-1] = (text + piece.strip(), row, [*log_probabilities, log_probability])
        return [(text, row, math.exp(sum(found) / len(found))) for text, row, found in words]

    def our_texts(self, streams: Sequence[Sequence[Samples]], *, cuts_after: frozenset[int] = frozenset()) -> list[str]:
        return [final.text for final in self.our_finals(streams, cuts_after=cuts_after)]

    def our_finals(
        self, streams: Sequence[Sequence[Samples]], *, cuts_after: frozenset[int] = frozenset()
    ) -> list[FinalResult]:
        """Give all finals of all streams, which take their steps together."""
        options = StreamOptions(
            min_trailing_silence_ms=NEVER_MS, max_silence_without_speech_ms=NEVER_MS, max_utterance_ms=NEVER_MS
        )
        for slot in range(len(streams)):
            opening = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=options)
            self.ours.open(slot, opening)
        finals: list[list[FinalResult]] = [[] for _ in streams]
        for number in range(max(map(len, streams))):
            for slot, pieces in enumerate(streams):
                if number < len(pieces):
                    at = sum(map(len, pieces[: number + 1]))
                    self.ours.accept(slot, pieces[number].astype("<i2").tobytes())
                    if number == len(pieces) - 1:
                        self.ours.cut(slot, at, is_last=True)
                    elif number in cuts_after:
                        self.ours.cut(slot, at, is_last=False)
            while ready := [slot for slot in range(len(streams)) if self.ours.is_ready(slot)]:
                for result in self.ours.step(ready):
                    finals[result.slot] += [event for event in result.events if isinstance(event, FinalResult)]
        for slot in range(len(streams)):
            self.ours.close(slot)
        return [final for found in finals for final in found]


@pytest.fixture(scope="module", params=MODELS, ids=str)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = tmp_path_factory.mktemp("transducer") / request.param
    return Both(sherpa_onnx, MODELS[request.param].write(folder))


@pytest.mark.parametrize("seed", SEEDS)
def test_any_signal_cut_anywhere_gives_the_text_of_sherpa_onnx(both: Both, seed: int) -> None:
    dice = random.Random(seed)
    samples = a_signal(dice)
    theirs = both.their_text(cut_anywhere(dice, samples, pieces=dice.randrange(1, 9)))
    ours = both.our_texts([cut_anywhere(dice, samples, pieces=dice.randrange(1, 9))])
    assert ours == [theirs]


@pytest.mark.parametrize("seed", range(6))
def test_words_have_the_times_and_confidence_of_sherpa_onnx(both: Both, seed: int) -> None:
    samples = a_signal(random.Random(seed))
    (final,) = both.our_finals([[samples]])
    theirs = both.their_words(samples)
    inside = [row * ROW_SAMPLES < len(samples) for _, row, _ in theirs]
    assert [word.text for word in final.words] == [text for text, _, _ in theirs]
    for word, (_, row, confidence), is_inside in zip(final.words, theirs, inside, strict=True):
        assert word.start_sample == (row * ROW_SAMPLES if is_inside else len(samples))
        assert word.confidence == pytest.approx(confidence, abs=1e-3)


def test_texts_are_varied_so_that_equal_ones_mean_something(both: Both) -> None:
    texts = [both.our_texts([[a_signal(random.Random(seed))]])[0] for seed in SEEDS]
    words = {word for text in texts for word in text.split()}
    assert len(words) > 15
    assert len({text for text in texts if text}) > len(SEEDS) // 2


def test_streams_that_share_steps_give_the_texts_that_sherpa_onnx_gives_in_a_batch(both: Both) -> None:
    dice = random.Random(3)
    signals = [a_signal(dice) for _ in range(SLOTS)]
    streams = []
    for signal in signals:
        streams.append(both.theirs.create_stream())
        streams[-1].accept_waveform(16_000, np.concatenate([signal.astype(np.float32) / 32_768, TAIL]))
        streams[-1].input_finished()
    while ready := [stream for stream in streams if both.theirs.is_ready(stream)]:
        both.theirs.decode_streams(ready)
    theirs = [" ".join(both.theirs.get_result(stream).split()) for stream in streams]
    assert both.our_texts([cut_anywhere(dice, signal, pieces=4) for signal in signals]) == theirs
    assert [both.our_texts([[signal]])[0] for signal in signals] == theirs


def test_a_long_stream_gives_the_text_of_sherpa_onnx(both: Both) -> None:
    samples = np.concatenate([samples_of(name) for name in sorted(transcripts())])
    dice = random.Random(5)
    theirs = both.their_text(cut_anywhere(dice, samples, pieces=100))
    assert both.our_texts([cut_anywhere(dice, samples, pieces=100)]) == [theirs]


def test_an_utterance_is_what_sherpa_onnx_says_between_its_resets(both: Both) -> None:
    dice = random.Random(7)
    pieces = cut_anywhere(dice, samples_of("dialogue_awb.wav")[: 16_000 * 15], pieces=12)
    segments = both.their_segments(pieces, resets_after=frozenset({2, 3, 6, 9}))
    assert len(segments) == 5
    assert both.our_texts([pieces]) == [" ".join("".join(segments).split())]


def test_behind_a_cut_everything_begins_anew(both: Both) -> None:
    pieces = cut_anywhere(random.Random(9), samples_of("dialogue_awb.wav")[: 16_000 * 15], pieces=4)
    ours = both.our_texts([pieces], cuts_after=frozenset(range(4)))
    assert ours == [both.their_text([piece]) for piece in pieces]
