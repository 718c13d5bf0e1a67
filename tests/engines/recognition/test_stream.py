"""A stream reads its audio once, in the same steps whenever it comes, and keeps no more than it may want again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from engines.contract import ModelContract
from engines.errors import LinkMisused
from engines.interface import EndReason, FinalResult
from engines.recognition.rows import Rows, rows_by_stream
from engines.recognition.stream import Cut, StreamState
from engines.recognition.utterance import ModelShape

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.contract import FloatArray
    from engines.interface import OpenStream
    from engines.recognition.stream import Heard, SlotEvent

pytestmark = pytest.mark.unit

BLANK = 1
CONTRACT = ModelContract(
    name="m",
    version="0",
    language="en",
    window_frames=39,
    shift_frames=32,
    subsampling=8,
    feature_dim=80,
    vocab_size=1,
    blank_id=BLANK,
    cache_channel_shape=(1, 1, 1),
    cache_time_shape=(1, 1, 1),
    tokens=("\u2581on", "<blk>"),
)
SHAPE = ModelShape(CONTRACT, skips_silence=False)
WAITING_SHAPE = ModelShape(CONTRACT)


class Step(NamedTuple):
    features: np.ndarray | None
    heard: Heard | None


def loud(num_samples: int) -> bytes:
    return np.random.default_rng(0).integers(-9_000, 9_000, num_samples).astype("<i2").tobytes()


def as_rows(log_probabilities: FloatArray | None) -> Rows | None:
    return None if log_probabilities is None else rows_by_stream(log_probabilities[None])[0]


def step(stream: StreamState) -> tuple[Step, tuple[SlotEvent, ...]]:
    """Take a step, standing in for the models: a piece in every step, speech in every window."""
    features = stream.next_features()
    kept = None if features is None else features.copy()
    rows = None if features is None else np.array([[-9, -0.1], [-0.1, -9], [-9, -0.1], [-9, -0.1]], np.float32)
    heard = stream.read(as_rows(rows))
    return Step(kept, heard), stream.take([] if heard is None else [0.9] * len(heard.windows))


def drained(stream: StreamState) -> list[SlotEvent]:
    events: list[SlotEvent] = []
    while stream.is_ready:
        events += step(stream)[1]
    return events


def test_speech_is_listened_for_until_it_has_begun(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(), SHAPE)
    audio = loud(60_000)
    stream.accept(audio)
    blanks = np.array([[-9, -0.1]] * 4, np.float32)
    windows = []
    for _ in range(3):
        stream.next_features()
        heard = stream.read(as_rows(blanks))
        assert heard is not None
        assert not heard.is_anew
        windows.append(heard.windows)
        stream.take([0.1] * len(heard.windows))
    assert [len(found) for found in windows] == [12, 10, 10]
    found = np.concatenate(windows).ravel()
    assert np.array_equal(found * 32_768, np.frombuffer(audio, "<i2")[: len(found)])
    assert step(stream)[0].heard is not None  # with the first piece
    assert step(stream)[0].heard is None  # words say by themselves that somebody speaks


def test_listening_begins_again_before_the_silence_that_may_end_the_utterance(
    open_stream: Callable[..., OpenStream],
) -> None:
    stream = StreamState(open_stream(min_trailing_silence_ms=800), SHAPE)
    audio = loud(100_000)
    stream.accept(audio)
    for _ in range(5):
        step(stream)
    pieces_end = 18 * 1_280  # the last step said its piece in the second of its four rows
    blanks = np.array([[-9, -0.1]] * 4, np.float32)
    for read_until in range(6_360 + 5 * 5_120, 6_360 + 9 * 5_120, 5_120):
        stream.next_features()
        heard = stream.read(as_rows(blanks))
        if read_until - pieces_end >= 12_800:
            break
        assert heard is None
        stream.take([])
    assert heard is not None
    assert heard.is_anew
    first = (pieces_end - 8 * 512) // 512 * 512
    expected = np.frombuffer(audio, "<i2")[first : read_until // 512 * 512]
    assert np.array_equal(heard.windows.ravel() * 32_768, expected)
    stream.take([0.9] * len(heard.windows))
    stream.next_features()
    going_on = stream.read(as_rows(blanks))
    assert going_on is not None
    assert not going_on.is_anew
    assert len(going_on.windows) == 10


@pytest.mark.parametrize("shape", [SHAPE, WAITING_SHAPE])
@pytest.mark.parametrize("seed", range(5))
def test_what_a_step_reads_does_not_depend_on_how_audio_came(
    open_stream: Callable[..., OpenStream], seed: int, shape: ModelShape
) -> None:
    dice = random.Random(seed)
    audio = loud(200_000)

    def read(pieces: list[bytes]) -> list[np.ndarray | None]:
        stream = StreamState(open_stream(max_utterance_ms=3_000), shape)
        found = []
        for piece in pieces:
            stream.accept(piece)
            while stream.is_ready and (len(pieces) == 1 or dice.random() < 0.8):
                found.append(step(stream)[0].features)
        while stream.is_ready:
            found.append(step(stream)[0].features)
        return found

    pieces, at = [], 0
    while at < len(audio):
        size = 2 * dice.randrange(1, 9_000)
        pieces.append(audio[at : at + size])
        at += size
    for ours, expected in zip(read(pieces), read([audio]), strict=True):
        assert (ours is None) == (expected is None)
        if ours is not None:
            assert np.array_equal(ours, expected)


def test_a_stream_holds_at_most_five_seconds_and_a_step_of_what_it_has_heard(
    open_stream: Callable[..., OpenStream],
) -> None:
    stream = StreamState(open_stream(max_utterance_ms=60_000), SHAPE)
    held = []
    for _ in range(100):
        stream.accept(loud(8_000))
        while stream.is_ready:
            step(stream)
        held.append(stream.held_samples)
    assert max(held) <= 80_000 + 2 * 5_120 + 8_000


def test_behind_a_cut_there_is_silence_for_the_models(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(), SHAPE)
    stream.accept(loud(9_000))
    stream.cut(Cut(9_000, is_last=False))
    stream.accept(loud(9_000))
    alone = StreamState(open_stream(), SHAPE)
    alone.accept(loud(9_000))
    alone.cut(Cut(9_000, is_last=True))
    while not alone.is_over:
        (ours, _), (expected, _) = step(stream), step(alone)
        assert (ours.features is None) == (expected.features is None)
        if ours.features is not None:
            assert expected.features is not None
            assert np.array_equal(ours.features, expected.features)


def test_several_cuts_may_wait(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(start_sample=50), SHAPE)
    for at_sample, is_last in ((8_050, False), (8_051, False), (30_000, False), (30_000, True)):
        stream.accept(loud(at_sample - 50 - stream.held_samples))
        stream.cut(Cut(at_sample, is_last))
    finals = [event for event in drained(stream) if isinstance(event, FinalResult)]
    assert [(final.start_sample, final.end_sample, final.reason) for final in finals] == [
        (50, 8_050, EndReason.finalize),
        (8_050, 8_051, EndReason.finalize),
        (8_051, 30_000, EndReason.finalize),
        (30_000, 30_000, EndReason.finish),
    ]
    assert finals[-1].words == ()
    assert stream.is_over
    assert not stream.is_ready


def test_progress_tells_how_far_the_audio_was_heard(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(start_sample=10), SHAPE)
    assert stream.audio_through_sample == 10
    stream.accept(loud(7_000))
    step(stream)
    assert stream.audio_through_sample == 10 + 6_360
    stream.cut(Cut(7_010, is_last=True))
    drained(stream)
    assert stream.audio_through_sample == 7_010


def test_misuse_is_told(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(), SHAPE)
    with pytest.raises(LinkMisused):
        stream.accept(b"odd")
    with pytest.raises(LinkMisused):
        stream.cut(Cut(1, is_last=False))
    stream.cut(Cut(0, is_last=True))
    with pytest.raises(LinkMisused):
        stream.accept(b"\0\0")


# --- waiting ---------------------------------------------------------------------------------------------------------


def waited(stream: StreamState, *, speech: float = 0.0) -> tuple[Step, tuple[SlotEvent, ...]]:
    """Take a step in which voice activity says `speech` of every window, and the model blanks."""
    features = stream.next_features()
    kept = None if features is None else features.copy()
    heard = stream.read(as_rows(None if features is None else np.array([[-9, -0.1]] * 4, np.float32)))
    return Step(kept, heard), stream.take([] if heard is None else [speech] * len(heard.windows))


def test_in_silence_only_voice_activity_reads(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(start_sample=10), WAITING_SHAPE)
    stream.accept(loud(6_360 + 3 * 5_120))
    windows = []
    while stream.is_ready:
        (features, heard), events = waited(stream)
        assert features is None
        assert heard is not None
        assert events == ()
        windows.append(len(heard.windows))
    assert windows == [12, 10, 10, 10]
    assert stream.audio_through_sample == 10 + 6_360 + 3 * 5_120


def test_the_model_begins_before_what_was_heard_and_reads_all_audio_from_there(
    open_stream: Callable[..., OpenStream],
) -> None:
    stream = StreamState(open_stream(), WAITING_SHAPE)
    audio = loud(6_360 + 11 * 5_120)
    stream.accept(audio)
    for _ in range(10):
        waited(stream)
    assert waited(stream, speech=0.2)[0].features is None
    # Heard in window 102, at 52,224: half a second before it lies in the ninth step.
    start = 8 * 5_120
    alone = StreamState(open_stream(start_sample=start), SHAPE)
    alone.accept(audio[2 * start :])
    through = stream.audio_through_sample
    while alone.is_ready:
        ours, expected = waited(stream)[0].features, waited(alone)[0].features
        assert ours is not None
        assert expected is not None
        assert np.array_equal(ours, expected)
        assert stream.audio_through_sample >= through
    assert not stream.is_ready


@pytest.mark.parametrize("level", [0, 5])
def test_digital_silence_is_not_even_listened_to(open_stream: Callable[..., OpenStream], level: int) -> None:
    stream = StreamState(open_stream(), WAITING_SHAPE)
    quiet = np.random.default_rng(0).integers(-level, level + 1, 6_360 + 2 * 5_120).astype("<i2")
    stream.accept(quiet.tobytes() + loud(2 * 5_120))
    for _ in range(3):
        assert waited(stream)[0] == Step(None, None)
    first, second = waited(stream)[0].heard, waited(stream)[0].heard
    assert first is not None
    assert first.is_anew
    assert second is None or not second.is_anew


@pytest.mark.parametrize("speech", [0.0, 0.2])
def test_a_cut_is_waited_for_to_its_last_sample(open_stream: Callable[..., OpenStream], speech: float) -> None:
    stream = StreamState(open_stream(), WAITING_SHAPE)
    stream.accept(loud(7_000))
    waited(stream)
    stream.cut(Cut(7_000, is_last=True))
    (features, heard), events = waited(stream, speech=speech)
    assert features is None
    assert heard is not None
    assert len(heard.windows) == 2
    assert not heard.windows.ravel()[7_000 - 12 * 512 :].any()
    if speech:
        assert events == ()
        steps = []
        while not stream.is_over:
            (features, _), events = waited(stream)
            steps.append(features is not None)
        assert steps == [True, True, True]
    (final,) = events
    assert isinstance(final, FinalResult)
    assert (final.start_sample, final.end_sample, final.reason) == (0, 7_000, EndReason.finish)
    assert stream.is_over


def test_silence_is_let_go_of_while_the_model_waits(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(max_silence_without_speech_ms=1_000, max_utterance_ms=2_000), WAITING_SHAPE)
    stream.accept(loud(40_000))
    ends = []
    while stream.is_ready:
        ends += [event for event in waited(stream)[1] if isinstance(event, FinalResult)]
    assert [(final.start_sample, final.reason) for final in ends] == [
        (0, EndReason.silence_without_speech),
        (ends[0].end_sample, EndReason.silence_without_speech),
    ]
    assert ends[0].end_sample == 6_360 + 2 * 5_120 - 4_800


def test_an_utterance_that_waits_too_long_is_cut_too(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(max_silence_without_speech_ms=9_000, max_utterance_ms=2_000), WAITING_SHAPE)
    stream.accept(loud(40_000))
    ends = []
    while stream.is_ready:
        ends += [event for event in waited(stream)[1] if isinstance(event, FinalResult)]
    assert [final.reason for final in ends] == [EndReason.max_length]


def test_little_audio_is_held_while_the_model_waits(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(max_silence_without_speech_ms=60_000, max_utterance_ms=60_000), WAITING_SHAPE)
    held = []
    for _ in range(50):
        stream.accept(loud(8_000))
        while stream.is_ready:
            waited(stream)
        held.append(stream.held_samples)
    assert max(held) <= 8_000 + 5_120 + 6_360 + 8_000
