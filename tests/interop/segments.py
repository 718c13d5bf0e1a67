"""A thousand and more pieces of audio out of the shipped recordings: cut anywhere, joined, louder, quieter, noisy."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.harness.recordings import RATE_HZ, samples_of, transcripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.recordings import Samples

SHORTEST_S, LONGEST_S = 0.3, 12.0
_KINDS = ("cut", "cut", "cut", "joined", "joined", "level", "noise")


@dataclass(frozen=True, slots=True)
class Segment:
    """`made` says how, so that a difference can be looked at again."""

    name: str
    made: str
    samples: Samples


def whole_recordings() -> list[Segment]:
    return [Segment(name, "as it is", samples_of(name)) for name in sorted(transcripts())]


def random_segments(count: int, *, seed: int) -> Iterator[Segment]:
    """`count` pieces of 0.3 to 12 s; the same for the same seed, whatever the count."""
    for number in range(count):
        dice = random.Random(f"{seed}/{number}")
        kind = dice.choice(_KINDS)
        samples, made = _joined(dice) if kind == "joined" else _cut(dice)
        if kind == "level":
            gain_db = dice.uniform(-35, 15)
            samples = _clipped(samples.astype(np.float64) * 10 ** (gain_db / 20))
            made += f", {gain_db:+.1f} dB"
        elif kind == "noise":
            level = 10 ** dice.uniform(0, 3)
            noise = np.random.default_rng(dice.randrange(1 << 32)).normal(0.0, level, len(samples))
            samples = _clipped(samples + noise)
            made += f", noise of {level:.0f}"
        yield Segment(f"#{number}", f"{kind}: {made}", samples)


def _cut(dice: random.Random) -> tuple[Samples, str]:
    """A piece out of one recording, from any sample to any other."""
    name = dice.choice(sorted(transcripts()))
    whole = samples_of(name)
    most_s = min(LONGEST_S, len(whole) / RATE_HZ)
    length = int(dice.uniform(SHORTEST_S, most_s) * RATE_HZ)
    start = dice.randrange(len(whole) - length + 1)
    return whole[start : start + length], f"{name} [{start}, {start + length})"


def _joined(dice: random.Random) -> tuple[Samples, str]:
    """Pieces of several recordings, one directly behind the other."""
    pieces = [_cut(dice) for _ in range(dice.randint(2, 4))]
    joined = np.concatenate([samples for samples, _ in pieces])[: int(LONGEST_S * RATE_HZ)]
    return joined, " + ".join(made for _, made in pieces)


def _clipped(samples: np.ndarray) -> Samples:
    return np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)
