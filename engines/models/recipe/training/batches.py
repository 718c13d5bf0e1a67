"""Batches of training: utterances of like length, shifted in phase, levelled, masked, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from engines.models.recipe.speech.features import DIGITAL_SILENCE, NUM_MELS
from engines.models.recipe.training.network import FIRST_OUTPUT_EXTRA_FRAMES, SUBSAMPLING
from engines.models.recipe.training.shards import finished_shards, read_shard
from engines.models.recipe.training.tokeniser import outputs_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from random import Random

    from numpy.typing import NDArray

    from engines.models.recipe.training.tokeniser import Tokeniser

_LONGEST_FRAMES = 1_400
_FEWEST_OUTPUTS = 4
_STATISTICS_FRAMES = 200_000
_LENGTH_JITTER_FRAMES = 25
_LEVEL_JITTER_NAT = 1.5
_TAIL_SHARE = 0.35  # of utterances that end in digital silence, as a client's padding does
_TAIL_FRAMES = (8, 48)
_WIDEST_MASK = 14
_FRAMES_PER_TIME_MASK = 200


@dataclass(frozen=True, slots=True)
class LabelledUtterance:
    """One utterance of a shard with its tokens; `features()` reads it from disk."""

    shard_features: NDArray[np.float16]
    first_frame: int
    num_frames: int
    tokens: tuple[int, ...]
    voice: str

    def features(self) -> NDArray[np.float32]:
        """(num_frames, 80) float32."""
        rows = self.shard_features[self.first_frame : self.first_frame + self.num_frames]
        return np.asarray(rows, dtype=np.float32)


class Corpus:
    """All whole shards of a folder; shards that are finished while training runs join at the next scan."""

    def __init__(self, folder: Path, tokeniser: Tokeniser) -> None:
        """Read what is there.

        Raises:
            FileNotFoundError: not one whole shard.
        """
        self._folder = folder
        self._tokeniser = tokeniser
        self._shards: dict[str, list[LabelledUtterance]] = {}
        self.scan()
        if not self._shards:
            raise FileNotFoundError(f"no shards in {folder}")

    @property
    def num_shards(self) -> int:
        """Shards read so far."""
        return len(self._shards)

    def scan(self) -> None:
        """Read the shards that have appeared."""
        for stem in finished_shards(self._folder):
            if stem.name not in self._shards:
                self._shards[stem.name] = list(self._usable(stem))

    def utterances(self) -> list[LabelledUtterance]:
        """Every utterance that is not too long and leaves CTC enough outputs."""
        return [utterance for shard in self._shards.values() for utterance in shard]

    def feature_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(80,) mean and (80,) inverse standard deviation of the first shard's first 200,000 frames."""
        features, _ = read_shard(finished_shards(self._folder)[0])
        frames = np.asarray(features[:_STATISTICS_FRAMES], dtype=np.float32)
        return torch.from_numpy(frames.mean(0)), torch.from_numpy(1 / frames.std(0))

    def _usable(self, stem: Path) -> Iterator[LabelledUtterance]:
        features, rows = read_shard(stem)
        for row in rows:
            tokens = self._tokeniser.encode(row.text)
            num_outputs = (row.num_frames - FIRST_OUTPUT_EXTRA_FRAMES) // SUBSAMPLING
            is_long_enough = num_outputs >= max(_FEWEST_OUTPUTS, outputs_needed(tokens))
            if is_long_enough and row.num_frames < _LONGEST_FRAMES:
                yield LabelledUtterance(features, row.first_frame, row.num_frames, tuple(tokens), row.voice)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step needs.

    Attributes:
        features: (B, F, 80) float32, zeros after each row's end.
        num_frames: (B,) valid frames.
        tokens: (sum of counts,) all labels one after the other.
        token_counts: (B,).
        leads_frames: frames put before each row, 0..7.
        utterances: the rows' sources.
    """

    features: torch.Tensor
    num_frames: torch.Tensor
    tokens: torch.Tensor
    token_counts: torch.Tensor
    leads_frames: tuple[int, ...]
    utterances: tuple[LabelledUtterance, ...]


def batches_by_length(
    utterances: Iterable[LabelledUtterance], rng: Random, *, frames_per_batch: int
) -> list[list[LabelledUtterance]]:
    """Cut into batches of at most `frames_per_batch` padded frames; likes together, order of batches random."""
    shuffled = list(utterances)
    rng.shuffle(shuffled)
    jitter = _LENGTH_JITTER_FRAMES
    shuffled.sort(key=lambda utterance: utterance.num_frames + rng.uniform(-jitter, jitter))
    batches: list[list[LabelledUtterance]] = []
    current: list[LabelledUtterance] = []
    longest = 0
    for utterance in shuffled:
        longest = max(longest, utterance.num_frames)
        if current and longest * (len(current) + 1) > frames_per_batch:
            batches.append(current)
            current, longest = [], utterance.num_frames
        current.append(utterance)
    if current:
        batches.append(current)
    rng.shuffle(batches)
    return batches


class BatchMaker:
    """Turns utterances into tensors; what it changes is drawn anew each time an utterance comes by."""

    def __init__(self, *, feature_mean: torch.Tensor, rng: Random) -> None:
        """Take the (80,) mean of the features: what a masked bin is set to."""
        self._mean = feature_mean
        self._rng = rng

    def make(self, utterances: Sequence[LabelledUtterance], *, masked_share: float) -> Batch:
        """Collate; `masked_share` of the rows get SpecAugment masks."""
        rng = self._rng
        leads = [rng.randint(0, SUBSAMPLING - 1) for _ in utterances]
        tails = [rng.randint(*_TAIL_FRAMES) if rng.random() < _TAIL_SHARE else 0 for _ in utterances]
        num_frames = [
            utterance.num_frames + lead + tail for utterance, lead, tail in zip(utterances, leads, tails, strict=True)
        ]
        features = torch.zeros(len(utterances), max(num_frames), NUM_MELS)
        for row, utterance, lead in zip(features, utterances, leads, strict=True):
            self._fill(row, utterance, lead=lead, masked_share=masked_share)
        for row, total, tail in zip(features, num_frames, tails, strict=True):
            row[total - tail : total] = DIGITAL_SILENCE
        labels = [list(utterance.tokens) for utterance in utterances]
        return Batch(
            features=features,
            num_frames=torch.tensor(num_frames),
            tokens=torch.tensor([token for label in labels for token in label], dtype=torch.long),
            token_counts=torch.tensor([len(label) for label in labels]),
            leads_frames=tuple(leads),
            utterances=tuple(utterances),
        )

    def _fill(self, row: torch.Tensor, utterance: LabelledUtterance, *, lead: int, masked_share: float) -> None:
        """Write one utterance into its (F, 80) row, after a lead that repeats its first frame (the chunk's phase)."""
        rng = self._rng
        speech = torch.from_numpy(utterance.features())
        end = lead + utterance.num_frames
        row[lead:end] = speech
        row[:lead] = speech[:1]
        row[:end] += rng.uniform(-_LEVEL_JITTER_NAT, _LEVEL_JITTER_NAT)
        if rng.random() < masked_share:
            self._mask(row[:end])

    def _mask(self, frames: torch.Tensor) -> None:
        """Two bands of mels, and one stretch of time per two seconds, set to the mean."""
        rng, num_frames = self._rng, len(frames)
        for _ in range(2):
            width = rng.randint(0, _WIDEST_MASK)
            start = rng.randint(0, NUM_MELS - width)
            frames[:, start : start + width] = self._mean[start : start + width]
        for _ in range(max(1, num_frames // _FRAMES_PER_TIME_MASK)):
            width = rng.randint(0, _WIDEST_MASK)
            start = rng.randint(0, max(0, num_frames - width))
            frames[start : start + width] = self._mean
