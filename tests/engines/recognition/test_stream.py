"""A stream reads its audio once, in the same steps whenever it comes, and keeps no more than it may want again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.errors import LinkMisused
from engines.interface import EndReason, FinalResult, ModelContract
from engines.recognition.stream import Cut, StreamState
from engines.recognition.utterance import ModelShape

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import OpenStream
    from engines.recognition.stream import SlotEvent, StepInput

pytestmark = pytest.mark.unit

BLANK = 1
SHAPE = ModelShape(
    ModelContract(
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
)


def loud(num_samples: int) -> bytes:
    return np.random.default_rng(0).integers(-9_000, 9_000, num_samples).astype("<i2").tobytes()


def answer(stream: StreamState, given: StepInput) -> tuple[SlotEvent, ...]:
    """Stand in for the models: a piece in every step, speech in every window."""
    rows = None
    if given.features is not None:
        rows = np.array([[-9, -0.1], [-0.1, -9], [-9, -0.1], [-9, -0.1]], np.float32)
    speech = [] if given.speech_windows is None else [0.9] * len(given.speech_windows)
    return stream.take(rows, speech)


def drained(stream: StreamState) -> list[SlotEvent]:
    events: list[SlotEvent] = []
    while stream.is_ready:
        events += answer(stream, stream.next_input())
    return events


def test_the_samples_of_an_utterance_are_each_read_once(open_stream: Callable[..., OpenStream]) -> None:
    stream = StreamState(open_stream(), SHAPE)
    audio = loud(60_000)
    stream.accept(audio)
    windows = []
    while stream.is_ready:
        given = stream.next_input()
        assert given.speech_windows is not None
        windows.append(given.speech_windows)
        answer(stream, given)
    heard = np.concatenate(windows).ravel()
    assert [len(found) for found in windows[:3]] == [12, 10, 10]
    assert np.array_equal(heard * 32_768, np.frombuffer(audio, "<i2")[: len(heard)])


@pytest.mark.parametrize("seed", range(5))
def test_what_a_step_reads_does_not_depend_on_how_audio_came(open_stream: Callable[..., OpenStream], seed: int) -> None:
    dice = random.Random(seed)
    audio = loud(200_000)

    def read(pieces: list[bytes]) -> list[np.ndarray]:
        stream = StreamState(open_stream(max_utterance_ms=3_000), SHAPE)
        found = []
        for piece in pieces:
            stream.accept(piece)
            while stream.is_ready and (len(pieces) == 1 or dice.random() < 0.8):
                given = stream.next_input()
                assert given.features is not None
                found.append(given.features.copy())
                answer(stream, given)
        while stream.is_ready:
            given = stream.next_input()
            assert given.features is not None
            found.append(given.features.copy())
            answer(stream, given)
        return found

    pieces, at = [], 0
    while at < len(audio):
        size = 2 * dice.randrange(1, 9_000)
        pieces.append(audio[at : at + size])
        at += size
    for ours, expected in zip(read(pieces), read([audio]), strict=True):
        assert np.array_equal(ours, expected)


def test_a_stream_holds_at_most_five_seconds_and_a_step_of_what_it_has_heard(
    open_stream: Callable[..., OpenStream],
) -> None:
    stream = StreamState(open_stream(max_utterance_ms=60_000), SHAPE)
    held = []
    for _ in range(100):
        stream.accept(loud(8_000))
        while stream.is_ready:
            answer(stream, stream.next_input())
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
        ours, expected = stream.next_input(), alone.next_input()
        assert (ours.features is None) == (expected.features is None)
        if ours.features is not None:
            assert np.array_equal(ours.features, expected.features)
        answer(stream, ours)
        answer(alone, expected)


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
    answer(stream, stream.next_input())
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
