"""Shards of training data: about an hour of synthetic, augmented speech each, as features on disk.

    python -m engines.models.recipe.training.shards --out work/shards --shards 24 --worker 0 --workers 2

A shard is `NNN.features.npy` ((frames, 80) float16) and `NNN.json` (rows of text, voice, first frame, frames); the JSON
is moved into place last, so a reader that lists JSON files sees only whole shards.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from engines.models.recipe.speech.augmentation import Augmenter
from engines.models.recipe.speech.features import FRAMES_PER_SECOND, NUM_MELS, log_mel
from engines.models.recipe.speech.festival import Festival
from engines.models.recipe.speech.noise import NoiseBank
from engines.models.recipe.speech.utterances import Studio
from engines.models.recipe.speech.voices import SYNTHESISER_SHARES, draw_utterance
from engines.models.recipe.text.sentences import SentenceSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIRST_SEED = 1_000  # shard n is made with seed 1000 + n
UTTERANCES_PER_SHARD = 1_230
NOISES_PER_SHARD = 20
_NOISE_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One utterance of a shard; an empty text is noise alone."""

    text: str
    voice: str
    first_frame: int
    num_frames: int


def make_shard(
    stem: Path,
    *,
    seed: int,
    festival: Festival | None,
    num_utterances: int = UTTERANCES_PER_SHARD,
    num_noises: int = NOISES_PER_SHARD,
) -> list[ShardRow]:
    """Synthesise, augment and write one shard; without a Festival its share goes to the other voices.

    Raises:
        SynthesiserMissing: espeak-ng or flite is not installed, or the given Festival is not.
    """
    features, rows, position = [], [], 0
    for text, voice, samples in _utterances(seed, festival, num_utterances=num_utterances, num_noises=num_noises):
        frames = log_mel(samples).astype(np.float16)
        rows.append(ShardRow(text, voice, position, len(frames)))
        features.append(frames)
        position += len(frames)
    stem.parent.mkdir(parents=True, exist_ok=True)
    np.save(features_path(stem), np.concatenate(features))
    unfinished = stem.with_suffix(".json.part")
    unfinished.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    unfinished.rename(stem.with_suffix(".json"))
    return rows


def read_shard(stem: Path) -> tuple[NDArray[np.float16], list[ShardRow]]:
    """Open a shard; the (frames, 80) features stay on disk until touched."""
    rows = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    return np.load(features_path(stem), mmap_mode="r"), [ShardRow(**row) for row in rows]


def finished_shards(folder: Path) -> list[Path]:
    """Stems of the shards that are whole, in order."""
    return sorted(path.with_suffix("") for path in folder.glob("*.json"))


def features_path(stem: Path) -> Path:
    """Where a shard's features lie."""
    return stem.with_suffix(".features.npy")


def _utterances(
    seed: int, festival: Festival | None, *, num_utterances: int, num_noises: int
) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Yield text, voice and samples: speech first, noise alone after it."""
    rng, dice, sentences = Random(seed), np.random.default_rng(seed), SentenceSource(seed)
    studio = Studio(festival or Festival())
    noises = NoiseBank(studio=studio, sentences=sentences, rng=rng, dice=dice)
    augmenter = Augmenter(noises=noises, rng=rng, dice=dice)
    shares = {name: share for name, share in SYNTHESISER_SHARES.items() if festival or name != "hts"}
    synthesisers = rng.choices(tuple(shares), tuple(shares.values()), k=num_utterances)
    specs = [draw_utterance(rng, sentences, synthesiser=synthesiser) for synthesiser in synthesisers]
    for spec, samples in studio.record(specs, rng):
        yield spec.text, spec.voice, augmenter.apply(samples)
    for _ in range(num_noises):
        noise = noises.draw(rng, rng.randrange(16_000, 64_000)) * np.float32(_NOISE_LEVEL)
        yield "", "noise", augmenter.apply(np.pad(noise, (0, 8_000)))


def main() -> None:
    """Make this worker's shards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=24, help="of all workers together")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--utterances", type=int, default=UTTERANCES_PER_SHARD)
    parser.add_argument("--festival", default="festival", help="the program, or a wrapper that starts it")
    parser.add_argument("--without-festival", action="store_true", help="spread its share over the other voices")
    arguments = parser.parse_args()
    festival = None if arguments.without_festival else Festival(arguments.festival)
    for number in range(arguments.worker, arguments.shards, arguments.workers):
        started_s = time.perf_counter()
        stem = arguments.out / f"{number:03d}"
        rows = make_shard(stem, seed=FIRST_SEED + number, festival=festival, num_utterances=arguments.utterances)
        hours = sum(row.num_frames for row in rows) / FRAMES_PER_SECOND / 3_600
        took_s = time.perf_counter() - started_s
        print(f"{stem.name}: {hours:.3f} h, {len(rows)} utterances, {NUM_MELS} mels, {took_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
