"""Sounds for comparing recognisers: pieces of recordings, noise, tones and silence, in 16-bit steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.harness.recordings import samples_of, transcripts

if TYPE_CHECKING:
    import random

    import numpy.typing as npt

    Samples = npt.NDArray[np.int16]

SAMPLE_RATE_HZ = 16_000


def a_signal(dice: random.Random, *, max_s: float = 6.0) -> Samples:
    """Give speech, noise, a chirp, clipped speech or speech between silences, from nothing up to `max_s`."""
    length = dice.randrange(int(max_s * SAMPLE_RATE_HZ))
    match dice.randrange(6):
        case 0 | 1:
            return _speech(dice, length)
        case 2:
            return _noise(dice, length)
        case 3:
            return _chirp(dice, length)
        case 4:
            return np.clip(_speech(dice, length).astype(np.int32) * 8, -32_768, 32_767).astype(np.int16)
        case _:
            silence = np.zeros(dice.randrange(SAMPLE_RATE_HZ), np.int16)
            return np.concatenate([silence, _speech(dice, length), silence])


def _speech(dice: random.Random, length: int) -> Samples:
    samples = samples_of(dice.choice(sorted(transcripts())))
    start = dice.randrange(max(1, len(samples) - length))
    part: Samples = samples[start : start + length]
    return part


def _noise(dice: random.Random, length: int) -> Samples:
    noise = np.random.default_rng(dice.randrange(1 << 30)).standard_normal(length)
    return (noise * 10 ** dice.uniform(0, 3.5)).clip(-32_768, 32_767).astype(np.int16)


def _chirp(dice: random.Random, length: int) -> Samples:
    seconds = np.arange(length) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * (dice.uniform(50, 3_000) * seconds + dice.uniform(0, 400) * seconds**2)
    return (dice.uniform(100, 30_000) * np.sin(phase) + dice.uniform(-1_000, 1_000)).astype(np.int16)


def cut_anywhere(dice: random.Random, samples: Samples, *, pieces: int) -> list[Samples]:
    """Cut a signal into so many pieces, some of them empty."""
    places = sorted(dice.randrange(len(samples) + 1) for _ in range(pieces - 1))
    return np.split(samples, places)
