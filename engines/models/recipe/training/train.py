"""Stages 1 to 3: CTC training on one CPU core, for a given number of minutes or steps.

    python -m engines.models.recipe.training.train --shards work/shards --start work/boot.pt --out work/stage1.pt \\
        --minutes 42 --learning-rate 1.5e-3 --easy-minutes 4 --masked-share 0.9
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch

from engines.models.recipe.speech.voices import NATURAL_AND_EASY
from engines.models.recipe.training.batches import BatchMaker, Corpus, batches_by_length
from engines.models.recipe.training.checkpoints import Checkpoint, load, save
from engines.models.recipe.training.objectives import ctc_per_token
from engines.models.recipe.training.tokeniser import Tokeniser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines.models.recipe.training.batches import LabelledUtterance

_CHUNKS = (2, 4, 4, 4, 8)  # drawn per batch, so one set of weights serves 160, 320 and 640 ms
_WARM_UP_STEPS = 200
_AVERAGE_EVERY_STEPS = 10
_SLOWEST_AVERAGE = 0.995
_SAVE_EVERY_S = 180
_EASY_LONGEST_FRAMES = 350
_REPORT_EVERY_STEPS = 100


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Settings of one stage.

    Attributes:
        minutes: wall time over which the learning rate falls to zero; None when `steps` says it.
        steps: optimiser steps, instead of minutes.
        stop_after_minutes: stop here although the learning rate has not reached zero.
        learning_rate: its peak, after 200 warm-up steps.
        easy_minutes: at first only short utterances of natural voices, without masks.
        masked_share: of utterances with SpecAugment masks after that.
        frames_per_batch: padded frames, 50 s of audio.
    """

    minutes: float | None
    steps: int | None = None
    stop_after_minutes: float | None = None
    learning_rate: float = 1.5e-3
    easy_minutes: float = 0.0
    masked_share: float = 0.9
    frames_per_batch: int = 5_000
    weight_decay: float = 0.02
    largest_gradient: float = 5.0
    late_weight: float = 0.75
    seed: int = 1


class Progress:
    """How far a stage has come, by the clock or by steps."""

    def __init__(self, plan: TrainingPlan) -> None:
        """Start the clock."""
        self._plan = plan
        self._started_s = time.perf_counter()
        self.steps = 0
        self.audio_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Wall time since the start."""
        return time.perf_counter() - self._started_s

    @property
    def share_done(self) -> float:
        """0 at the start, 1 at the end of the learning rate's curve."""
        if self._plan.steps is not None:
            return self.steps / self._plan.steps
        return self.elapsed_s / 60 / (self._plan.minutes or math.inf)

    @property
    def is_over(self) -> bool:
        """Whether to stop."""
        stop = self._plan.stop_after_minutes
        return self.share_done >= 1 or (stop is not None and self.elapsed_s >= 60 * stop)

    @property
    def is_easy(self) -> bool:
        """Whether only easy utterances are shown."""
        return self.elapsed_s < 60 * self._plan.easy_minutes

    @property
    def learning_rate(self) -> float:
        """Linear warm-up times a cosine to one hundredth of the peak."""
        warm_up = min(1.0, (self.steps + 1) / _WARM_UP_STEPS)
        return self._plan.learning_rate * warm_up * (0.5 * (1 + math.cos(math.pi * self.share_done)) + 0.01)


def train(corpus: Corpus, tokeniser: Tokeniser, start: Checkpoint, plan: TrainingPlan, out: Path) -> Checkpoint:
    """Train one stage from the weights of another; saves every three minutes and at the end."""
    torch.manual_seed(plan.seed)
    rng = Random(plan.seed)
    network = start.network(averaged=False)
    averaged = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay
    )
    maker = BatchMaker(feature_mean=network.feature_mean, rng=rng)
    progress, saved_s, recent = Progress(plan), 0.0, []
    network.train()

    def keep() -> Checkpoint:
        checkpoint = Checkpoint(network.shape, network.state_dict(), averaged, progress.steps, progress.audio_s)
        save(checkpoint, out)
        return checkpoint

    for utterances, is_easy in _epochs(corpus, progress, plan, rng):
        for group in optimiser.param_groups:
            group["lr"] = progress.learning_rate
        batch = maker.make(utterances, masked_share=0.0 if is_easy else plan.masked_share)
        with torch.autocast("cpu", torch.bfloat16):
            scores, num_outputs, early = network(batch.features, batch.num_frames, rng.choice(_CHUNKS))
        late_loss = ctc_per_token(scores, num_outputs, batch, blank=tokeniser.blank)
        early_loss = ctc_per_token(early, num_outputs, batch, blank=tokeniser.blank)
        loss = plan.late_weight * late_loss + (1 - plan.late_weight) * early_loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), plan.largest_gradient)
        if torch.isfinite(norm):
            optimiser.step()
        progress.steps += 1
        progress.audio_s += float(batch.num_frames.sum()) / 100
        recent.append(late_loss.item())
        if progress.steps % _AVERAGE_EVERY_STEPS == 0:
            _average(averaged, network.state_dict(), steps=progress.steps)
        if progress.steps % _REPORT_EVERY_STEPS == 0:
            _report(progress, recent[-_REPORT_EVERY_STEPS:], corpus.num_shards)
        if progress.elapsed_s - saved_s > _SAVE_EVERY_S:
            keep()
            saved_s = progress.elapsed_s
    return keep()


def _epochs(
    corpus: Corpus, progress: Progress, plan: TrainingPlan, rng: Random
) -> Iterator[tuple[list[LabelledUtterance], bool]]:
    """Yield batches until the stage is over; the easy epoch ends as soon as its minutes do."""
    while not progress.is_over:
        corpus.scan()
        is_easy, chosen = progress.is_easy, corpus.utterances()
        if is_easy:
            chosen = [
                utterance
                for utterance in chosen
                if utterance.voice in NATURAL_AND_EASY and utterance.num_frames < _EASY_LONGEST_FRAMES
            ]
        for batch in batches_by_length(chosen, rng, frames_per_batch=plan.frames_per_batch):
            if progress.is_over or is_easy != progress.is_easy:
                break
            yield batch, is_easy


def _average(averaged: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], *, steps: int) -> None:
    """Move the average towards the weights; it starts quick and slows down to 0.995 per ten steps."""
    rounds = steps / _AVERAGE_EVERY_STEPS
    keep = min(_SLOWEST_AVERAGE, (1 + rounds) / (_AVERAGE_EVERY_STEPS + rounds))
    for name, value in weights.items():
        averaged[name].mul_(keep).add_(value, alpha=1 - keep)


def _report(progress: Progress, losses: list[float], num_shards: int) -> None:
    print(
        f"step {progress.steps}, {progress.elapsed_s / 60:.1f} min, {progress.audio_s / 3600:.1f} h of audio"
        f" ({progress.audio_s / progress.elapsed_s:.0f} x real time), {num_shards} shards,"
        f" loss {sum(losses) / len(losses):.4f} nat/token, learning rate {progress.learning_rate:.5f}",
        flush=True,
    )


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="checkpoint to begin from")
    parser.add_argument("--out", type=Path, required=True)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float)
    length.add_argument("--steps", type=int)
    parser.add_argument("--stop-after-minutes", type=float)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--easy-minutes", type=float, default=0.0)
    parser.add_argument("--masked-share", type=float, default=0.9)
    parser.add_argument("--frames-per-batch", type=int, default=5_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tokeniser = Tokeniser()
    plan = TrainingPlan(
        minutes=arguments.minutes,
        steps=arguments.steps,
        stop_after_minutes=arguments.stop_after_minutes,
        learning_rate=arguments.learning_rate,
        easy_minutes=arguments.easy_minutes,
        masked_share=arguments.masked_share,
        frames_per_batch=arguments.frames_per_batch,
    )
    train(Corpus(arguments.shards, tokeniser), tokeniser, load(arguments.start), plan, arguments.out)


if __name__ == "__main__":
    main()
