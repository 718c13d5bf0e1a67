"""What paced streams say: the shipped recordings one after the other, with pauses of faint noise between them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.pacing import MESSAGE_MS
from tests.harness.recordings import samples_of, transcripts

if TYPE_CHECKING:
    from tests.harness.recordings import Samples

CHUNK_SAMPLES = MESSAGE_MS * 16
"""One message: 100 ms at 16 kHz."""
TRACKS = 24
_NOISE_LEVEL = 20.0
"""Of int16, -64 dB of full scale: a quiet room, and not the zeros that no microphone gives."""


def tracks(*, silence_share: float, duration_s: int, count: int = TRACKS) -> list[Samples]:
    """Make tracks of whole messages, each of which may be played round and round.

    Args:
        silence_share: how much of a track are the pauses added between recordings; those inside them come on top.
    """
    return [_track(seed, silence_share, duration_s * 1_000 // MESSAGE_MS) for seed in range(count)]


def _track(seed: int, silence_share: float, chunks: int) -> Samples:
    dice = random.Random(seed)
    noise = np.random.default_rng(seed)
    names = sorted(transcripts())
    dice.shuffle(names)
    length = chunks * CHUNK_SAMPLES
    parts: list[Samples] = []
    added = 0
    while added < length:
        recording = samples_of(names[len(parts) // 2 % len(names)])
        mean_pause = len(recording) * silence_share / (1 - silence_share)
        pause = noise.normal(0.0, _NOISE_LEVEL, int(mean_pause * dice.uniform(0.5, 1.5))).astype(np.int16)
        parts += [recording, pause]
        added += len(recording) + len(pause)
    return np.concatenate(parts)[:length]


def chunks_of(track: Samples) -> list[Samples]:
    """The track's messages."""
    return [track[at : at + CHUNK_SAMPLES] for at in range(0, len(track), CHUNK_SAMPLES)]
