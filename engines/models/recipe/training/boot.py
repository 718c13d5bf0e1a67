"""Stage 0: teach an untrained network where words are, so that CTC does not sit on its blank plateau.

    python -m engines.models.recipe.training.boot --shards work/shards --out work/boot.pt

280 steps of cross-entropy on flat-start targets, then 120 steps of CTC, on short utterances of four natural voices.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from engines.models.recipe.speech.voices import NATURAL_AND_EASY
from engines.models.recipe.training.batches import BatchMaker, Corpus, batches_by_length
from engines.models.recipe.training.checkpoints import Checkpoint, save
from engines.models.recipe.training.network import Network, NetworkShape
from engines.models.recipe.training.objectives import ctc_per_token, flat_start_loss, flat_start_targets
from engines.models.recipe.training.tokeniser import Tokeniser


@dataclass(frozen=True, slots=True)
class BootPlan:
    """Settings of stage 0; the defaults made the embedded model."""

    aligned_steps: int = 280
    ctc_steps: int = 120
    learning_rate: float = 1e-3
    warm_up_steps: int = 60
    frames_per_batch: int = 4_000
    longest_frames: int = 320
    chunk: int = 4
    weight_decay: float = 0.01
    largest_gradient: float = 1.0
    seed: int = 1


def boot(corpus: Corpus, tokeniser: Tokeniser, plan: BootPlan) -> Checkpoint:
    """Train stage 0 from random weights (about 70 s on one core)."""
    torch.manual_seed(plan.seed)
    rng = Random(plan.seed)
    network = Network(NetworkShape(num_outputs=tokeniser.num_outputs))
    mean, inverse_spread = corpus.feature_statistics()
    network.feature_mean.copy_(mean)
    network.feature_inverse_spread.copy_(inverse_spread)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay
    )
    easy = [
        utterance
        for utterance in corpus.utterances()
        if utterance.voice in NATURAL_AND_EASY and utterance.tokens and utterance.num_frames < plan.longest_frames
    ]
    batches = batches_by_length(easy, rng, frames_per_batch=plan.frames_per_batch)
    maker = BatchMaker(feature_mean=network.feature_mean, rng=rng)
    network.train()
    started_s = time.perf_counter()
    num_steps, audio_s = plan.aligned_steps + plan.ctc_steps, 0.0
    for step, utterances in zip(range(num_steps), itertools.cycle(batches), strict=False):
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * min(1.0, (step + 1) / plan.warm_up_steps)
        batch = maker.make(utterances, masked_share=0.0)
        audio_s += float(batch.num_frames.sum()) / 100
        with torch.autocast("cpu", torch.bfloat16):
            scores, num_outputs, early = network(batch.features, batch.num_frames, plan.chunk)
        late_ctc = ctc_per_token(scores, num_outputs, batch, blank=tokeniser.blank)
        if step < plan.aligned_steps:
            targets = flat_start_targets(batch, tokeniser, num_outputs=scores.shape[1])
            late = flat_start_loss(scores, targets, blank=tokeniser.blank)
            loss = 0.6 * late + 0.4 * flat_start_loss(early, targets, blank=tokeniser.blank)
        else:
            loss = 0.7 * late_ctc + 0.3 * ctc_per_token(early, num_outputs, batch, blank=tokeniser.blank)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), plan.largest_gradient)
        optimiser.step()
        if (step + 1) % 40 == 0:
            took_s = time.perf_counter() - started_s
            print(f"step {step + 1}: loss {loss.item():.3f}, ctc {late_ctc.item():.3f} nat/token, {took_s:.0f} s")
    weights = network.state_dict()
    return Checkpoint(network.shape, weights, weights, num_steps, audio_s)


def main() -> None:
    """Run stage 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--aligned-steps", type=int, default=BootPlan().aligned_steps)
    parser.add_argument("--ctc-steps", type=int, default=BootPlan().ctc_steps)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tokeniser = Tokeniser()
    plan = BootPlan(aligned_steps=arguments.aligned_steps, ctc_steps=arguments.ctc_steps)
    save(boot(Corpus(arguments.shards, tokeniser), tokeniser, plan), arguments.out)


if __name__ == "__main__":
    main()
