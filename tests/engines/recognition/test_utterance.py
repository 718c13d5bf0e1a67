"""One utterance: which steps it takes, and when it ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import kaldi_native_fbank
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import ModelContract
from engines.interface import Decoding, EndReason, Keyword, OpenStream, PartialResult, StreamOptions, TextOptions
from engines.recognition.decoding import GreedyPath
from engines.recognition.paths import CtcPaths
from engines.recognition.utterance import Ending, ModelShape, StreamRules, Utterance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import FloatArray
    from engines.recognition.paths import NewPath

pytestmark = pytest.mark.unit

ON, TURN, BLANK = 0, 1, 2
STEP_SAMPLES, FIRST_STEP_SAMPLES, ROW = 5_120, 6_360, 1_280
WINDOWS_FIRST, WINDOWS = 12, 10


CONTRACT = ModelContract(
    name="m",
    version="0",
    language="en",
    window_frames=39,
    shift_frames=32,
    subsampling=8,
    feature_dim=80,
    vocab_size=2,
    blank_id=BLANK,
    cache_channel_shape=(1, 1, 1),
    cache_time_shape=(1, 1, 1),
    tokens=("\u2581on", "\u2581turn", "<blk>"),
)


def model_shape(**sizes: int) -> ModelShape:
    return ModelShape(msgspec.structs.replace(CONTRACT, **sizes), skips_silence=False)


SHAPE = model_shape()


def opened(**options: Any) -> OpenStream:
    return OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions(**options))


def rows(*tokens: int) -> FloatArray:
    found = np.full((len(tokens), 3), math.log(0.05), np.float32)
    found[np.arange(len(tokens)), tokens] = math.log(0.9)
    return found


def silence(start: int, end: int) -> FloatArray:
    return np.zeros(end - start, np.float32)


class Heard:
    """An utterance that is told rows and speech step by step, until it ends."""

    def __init__(self, *, start_sample: int = 0, **options: Any) -> None:
        self.utterance = Utterance(start_sample, SHAPE, StreamRules.of(opened(**options), SHAPE))
        self.steps = 0
        self.speech: list[float] = []

    def step(self, *tokens: int, speech: float = 0.0) -> Ending | None:
        return self.step_rows(rows(*(tokens or (BLANK,) * 4)), speech=speech)

    def step_rows(self, given: FloatArray, *, speech: float) -> Ending | None:
        self.utterance.read(given, given.argmax(axis=-1).tolist())
        self.speech += [speech] * (WINDOWS if self.steps else WINDOWS_FIRST)
        listening = self.utterance.listening
        if listening is not None:
            self.utterance.hear(listening, self.speech[listening.windows.start : listening.windows.stop])
        self.steps += 1
        return self.utterance.ending(silence)

    def until_end(self, *, speech: float = 0.0) -> Ending:
        for _ in range(1_000):
            if (ending := self.step(speech=speech)) is not None:
                return ending
        raise AssertionError("the utterance never ended")


# --- steps -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 3_000), st.sampled_from([(39, 32, 8), (16, 16, 8), (121, 112, 8), (23, 16, 4)]))
def test_the_steps_of_a_cut_utterance_are_those_of_sherpa_onnx(
    kaldi_options: kaldi_native_fbank.FbankOptions, utterance_ms: int, sizes: tuple[int, int, int]
) -> None:
    window_frames, shift_frames, subsampling = sizes
    shape = model_shape(window_frames=window_frames, shift_frames=shift_frames, subsampling=subsampling)
    samples = utterance_ms * 16 + 7
    fbank = kaldi_native_fbank.OnlineFbank(kaldi_options)
    fbank.accept_waveform(16_000, [0.0] * (samples + 9_600))
    fbank.input_finished()
    frames_processed = steps = 0
    while frames_processed + window_frames < fbank.num_frames_ready:
        frames_processed += shift_frames
        steps += 1
    ours = 0
    while shape.step_end_sample(ours) <= samples or shape.has_tail_step(ours, utterance_samples=samples):
        ours += 1
    assert ours == steps


def test_a_step_needs_the_audio_of_its_last_frame() -> None:
    assert SHAPE.step_end_sample(0) == FIRST_STEP_SAMPLES
    assert SHAPE.step_end_sample(7) == FIRST_STEP_SAMPLES + 7 * STEP_SAMPLES


# --- endings ---------------------------------------------------------------------------------------------------------


def test_a_pause_after_words_ends_the_utterance_inside_the_pause() -> None:
    heard = Heard()
    assert heard.step(ON, BLANK, BLANK, BLANK, speech=0.9) is None
    ending = heard.until_end()
    speech_end = WINDOWS_FIRST * 512
    heard_samples = heard.utterance.read_until_sample
    assert ending.reason == EndReason.pause_after_speech
    assert 12_800 <= heard_samples - speech_end < 12_800 + STEP_SAMPLES
    assert ending.at_sample == heard_samples - 4_800


def test_speech_that_gives_no_piece_still_holds_off_the_pause() -> None:
    heard = Heard()
    heard.step(ON, BLANK, BLANK, BLANK, speech=0.9)
    assert [heard.step(speech=0.9) for _ in range(20)] == [None] * 20
    assert heard.until_end().reason == EndReason.pause_after_speech


def test_a_late_piece_holds_off_the_pause() -> None:
    heard = Heard()
    heard.step(ON, BLANK, BLANK, BLANK)
    assert [heard.step(BLANK, BLANK, BLANK, token) for token in (TURN, ON) * 5] == [None] * 10


def test_silence_without_speech_is_let_go_of() -> None:
    heard = Heard()
    ending = heard.until_end()
    assert ending.reason == EndReason.silence_without_speech
    assert 80_000 <= heard.utterance.read_until_sample < 80_000 + STEP_SAMPLES
    assert ending.at_sample == heard.utterance.read_until_sample - 4_800


def test_speech_without_words_is_not_silence() -> None:
    heard = Heard()
    assert heard.until_end(speech=0.9).reason == EndReason.max_length
    assert heard.utterance.read_until_sample >= 16 * 30_000


def test_after_unrecognised_speech_the_silence_counts_from_its_end() -> None:
    heard = Heard()
    for _ in range(10):
        heard.step(speech=0.9)
    assert heard.until_end().reason == EndReason.silence_without_speech
    assert heard.utterance.read_until_sample - 10 * STEP_SAMPLES >= 80_000


def test_words_behind_a_cut_for_length_are_left_to_the_next_utterance() -> None:
    heard = Heard(max_utterance_ms=2_000)
    ending = None
    while ending is None:
        ending = heard.step(TURN, BLANK, BLANK, ON, speech=0.9)
    assert ending.reason == EndReason.max_length
    final = heard.utterance.final(end_sample=ending.at_sample, reason=ending.reason)
    assert all(word.end_sample <= ending.at_sample for word in final.words)
    assert len(final.words) == 2 * heard.steps - sum(
        row * ROW >= ending.at_sample for step in range(heard.steps) for row in (4 * step, 4 * step + 3)
    )


@given(st.integers(1, 40_000), st.integers(0, 100))
def test_rows_called_stable_are_never_cut_off(max_utterance_ms: int, steps_waited: int) -> None:
    start = steps_waited * STEP_SAMPLES
    stable_before_row = SHAPE.stable_before_row(max_samples=16 * max_utterance_ms - start)
    last_step = next(k for k in range(10_000) if (start + SHAPE.step_end_sample(k)) // 16 >= max_utterance_ms)
    searched_from = max((last_step + 1) * 4 * ROW - 80_000, (last_step + 1) * 2 * ROW) // ROW
    assert abs(stable_before_row - searched_from) <= 1
    assert stable_before_row <= searched_from


def test_words_are_only_rewritten_where_something_is_to_be_done() -> None:
    def presents(**options: Any) -> bool:
        return StreamRules.of(opened(**options), SHAPE).presenter is not None

    assert not presents()
    assert presents(text=TextOptions(numerals=True))
    assert not presents(text=TextOptions(numerals=True), language="de")


# --- events ----------------------------------------------------------------------------------------------------------


def test_speech_starts_once_at_its_onset() -> None:
    heard = Heard(start_sample=1_000)
    heard.step()
    assert heard.utterance.speech_started(end_sample=99_999) is None
    heard.step(speech=0.9)
    started = heard.utterance.speech_started(end_sample=99_999)
    assert started is not None
    assert started.at_sample == 1_000 + WINDOWS_FIRST * 512
    assert heard.utterance.speech_started(end_sample=99_999) is None


def test_a_piece_before_any_speech_starts_speech() -> None:
    heard = Heard()
    heard.step(BLANK, BLANK, ON, BLANK)
    started = heard.utterance.speech_started(end_sample=99_999)
    assert started is not None
    assert started.at_sample == 2 * ROW


def test_a_final_holds_the_words_on_the_sessions_clock() -> None:
    heard = Heard(start_sample=7)
    heard.step(TURN, BLANK, ON, ON)
    final = heard.utterance.final(end_sample=7 + 3 * ROW, reason=EndReason.finalize)
    assert (final.text, final.start_sample, final.end_sample) == ("turn on", 7, 7 + 3 * ROW)
    assert [(word.start_sample, word.end_sample) for word in final.words] == [
        (7, 7 + ROW),
        (7 + 2 * ROW, 7 + 3 * ROW),
    ]


class FicklePaths(CtcPaths):
    """A search that takes everything back with a row of `TURN`."""

    def for_stream(self, options: StreamOptions) -> NewPath:
        return FicklePath


class FicklePath(GreedyPath):
    def __init__(self) -> None:
        super().__init__(SHAPE.spelling)

    def read(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> None:
        super().read(log_probabilities, best_tokens)
        if TURN in best_tokens:
            self.cut_off(0)


@given(st.lists(st.sampled_from([ON, TURN, BLANK, BLANK, BLANK]), min_size=1, max_size=60))
def test_a_search_that_takes_words_back_never_wants_audio_that_is_gone(tokens: list[int]) -> None:
    shape = ModelShape(CONTRACT, decoding=FicklePaths, skips_silence=False)
    utterance = Utterance(0, shape, StreamRules.of(opened(min_trailing_silence_ms=300), shape))
    needed = 0
    for token in tokens:
        given_rows = rows(token, BLANK, BLANK, BLANK)
        utterance.read(given_rows, given_rows.argmax(axis=-1).tolist())
        listening = utterance.listening
        if listening is not None:
            assert listening.windows.start * 512 >= needed
            utterance.hear(listening, [0.9] * len(listening.windows))
        utterance.speech_started(end_sample=utterance.read_until_sample)
        needed = max(needed, utterance.earliest_needed_sample)


WEIGHTS = st.lists(st.floats(-4, 4), min_size=12, max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(WEIGHTS, st.floats(0, 1)), min_size=1, max_size=30),
    st.sampled_from([{}, {"decoding": Decoding.beam}, {"keywords": (Keyword("turn on"),)}]),
    st.sampled_from([2_000, 4_000, 30_000]),
)
def test_a_partial_says_something_new_and_what_it_calls_stable_stays(
    steps: list[tuple[list[float], float]], options: dict[str, Any], max_utterance_ms: int
) -> None:
    heard = Heard(max_utterance_ms=max_utterance_ms, **options)
    last: PartialResult | None = None
    for weights, speech in steps:
        scores = np.array(weights, np.float32).reshape(4, 3)
        ending = heard.step_rows(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), speech=speech)
        if ending is not None:
            final = heard.utterance.final(end_sample=ending.at_sample, reason=ending.reason)
            assert last is None or final.text.startswith(last.text[: last.stable_chars])
            return
        partial = heard.utterance.partial(end_sample=heard.utterance.read_until_sample)
        if partial is None:
            continue
        if last is not None:
            assert (partial.text, partial.stable_chars) != (last.text, last.stable_chars)
            assert partial.stable_chars >= last.stable_chars
            assert partial.text.startswith(last.text[: last.stable_chars])
        assert 0 <= partial.stable_chars <= len(partial.text)
        last = partial
