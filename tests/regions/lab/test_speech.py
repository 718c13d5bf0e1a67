"""What callers of the lab say."""

from __future__ import annotations

import pytest

from regions.lab.speech import BYTES_PER_MS, PIECE_MS, speech

pytestmark = pytest.mark.unit


def test_synthetic_audio_is_as_long_as_asked_and_the_same_again() -> None:
    said = speech("synthetic", voice=3, duration_ms=1_250)
    assert len(said) == 1_250 * BYTES_PER_MS
    assert said == speech("synthetic", voice=3, duration_ms=1_250)


def test_voices_and_pieces_can_be_told_apart() -> None:
    one, other = (speech("synthetic", voice=voice, duration_ms=2_000) for voice in (1, 2))
    piece = PIECE_MS * BYTES_PER_MS
    values = [said[at : at + 2] for said in (one, other) for at in range(0, len(said), piece)]
    assert len(set(values)) == len(values)
    assert len(set(one[:piece][0::2])) == 1


def test_a_recording_is_said_again_until_it_is_long_enough() -> None:
    said = speech("wake_us.wav", voice=0, duration_ms=8_000)
    assert len(said) == 8_000 * BYTES_PER_MS
    with pytest.raises(OSError, match="No such file"):
        speech("nobody.wav", voice=0, duration_ms=1_000)
