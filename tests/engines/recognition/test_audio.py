"""Audio is read by its place on the session's clock, and nothing is kept that may go."""

from __future__ import annotations

import numpy as np
import pytest

from engines.recognition.audio import AudioQueue

pytestmark = pytest.mark.unit

NEVER = 1 << 60


def pcm16(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_samples_become_exact_fractions_of_full_scale() -> None:
    queue = AudioQueue(100)
    queue.append(pcm16(-32_768, 1, 32_767))
    samples = queue.read(100, 103, silent_from_sample=NEVER)
    assert samples.dtype == np.float32
    assert samples.tolist() == [-1.0, 1 / 32_768, 32_767 / 32_768]


def test_reading_does_not_depend_on_how_audio_was_appended() -> None:
    values = list(range(-50, 50))
    at_once, by_pieces = AudioQueue(0), AudioQueue(0)
    at_once.append(pcm16(*values))
    for start in range(0, 100, 7):
        by_pieces.append(pcm16(*values[start : start + 7]))
    by_pieces.drop_before(10)
    assert by_pieces.end_sample == at_once.end_sample == 100
    whole = at_once.read(10, 100, silent_from_sample=NEVER)
    assert np.array_equal(by_pieces.read(10, 100, silent_from_sample=NEVER), whole)


def test_audio_behind_a_limit_is_silence() -> None:
    queue = AudioQueue(0)
    queue.append(pcm16(1, 2, 3, 4))
    assert (queue.read(1, 6, silent_from_sample=3) * 32_768).tolist() == [2, 3, 0, 0, 0]
    assert queue.read(3, 6, silent_from_sample=3).tolist() == [0, 0, 0]
    assert queue.read(3, 6, silent_from_sample=2).tolist() == [0, 0, 0]


def test_dropped_audio_is_gone_and_the_rest_keeps_its_place() -> None:
    queue = AudioQueue(1_000)
    queue.append(pcm16(*range(10)))
    queue.drop_before(1_004)
    queue.drop_before(1_002)
    assert (queue.start_sample, queue.end_sample) == (1_004, 1_010)
    assert (queue.read(1_004, 1_006, silent_from_sample=NEVER) * 32_768).tolist() == [4, 5]


def test_audio_that_was_dropped_is_not_read_as_something_else() -> None:
    queue = AudioQueue(0)
    queue.append(bytes(200))
    queue.drop_before(10)
    with pytest.raises(LookupError):
        queue.read(9, 20, silent_from_sample=100)
