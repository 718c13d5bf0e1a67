"""What training minimises: CTC per token, and for the first minute cross-entropy on guessed alignments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from engines.models.recipe.training.network import FIRST_OUTPUT_EXTRA_FRAMES, SUBSAMPLING

if TYPE_CHECKING:
    from engines.models.recipe.training.batches import Batch, LabelledUtterance
    from engines.models.recipe.training.tokeniser import Tokeniser

_SPEECH_LEVEL = 0.4  # between the 5th and the 95th percentile of an utterance's mean log energy
_BLANK_WEIGHT = 0.3


def ctc_per_token(scores: torch.Tensor, num_outputs: torch.Tensor, batch: Batch, *, blank: int) -> torch.Tensor:
    """CTC loss in nat, summed over the batch and divided by its tokens; scores (B, T, outputs)."""
    losses = functional.ctc_loss(
        functional.log_softmax(scores.float(), -1).transpose(0, 1),
        batch.tokens,
        num_outputs,
        batch.token_counts,
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    return losses.sum() / max(1, int(batch.token_counts.sum()))


def flat_start_loss(scores: torch.Tensor, targets: torch.Tensor, *, blank: int) -> torch.Tensor:
    """Cross-entropy of (B, T, outputs) scores against (B, T) guessed tokens; blanks weigh less, they are most."""
    weights = torch.ones(scores.shape[-1])
    weights[blank] = _BLANK_WEIGHT
    return functional.cross_entropy(scores.float().flatten(0, 1), targets.flatten(), weights)


def flat_start_targets(batch: Batch, tokeniser: Tokeniser, *, num_outputs: int) -> torch.Tensor:
    """Guess (B, num_outputs) tokens: each label spread over the loud part of its utterance, by letters."""
    targets = torch.full((len(batch.utterances), num_outputs), tokeniser.blank)
    for row, utterance, lead in zip(targets, batch.utterances, batch.leads_frames, strict=True):
        if utterance.tokens:
            _spread(row, utterance, lead=lead, num_letters=tokeniser.num_letters)
    return targets


def _spread(row: torch.Tensor, utterance: LabelledUtterance, *, lead: int, num_letters: list[int]) -> None:
    first, last = (frame + lead for frame in loud_part(utterance.features()))
    letters = np.cumsum([0, *(num_letters[token] for token in utterance.tokens)])
    edges = first + (last - first) * letters / letters[-1]
    for output in range(len(row)):
        centre = SUBSAMPLING * output + FIRST_OUTPUT_EXTRA_FRAMES
        if first <= centre < last:
            index = int(np.searchsorted(edges, centre, side="right")) - 1
            row[output] = utterance.tokens[min(len(utterance.tokens) - 1, index)]


def loud_part(features: np.ndarray) -> tuple[int, int]:
    """First and last frame of (frames, 80) whose energy stands out."""
    energy = features.mean(1)
    floor, ceiling = np.percentile(energy, 5), np.percentile(energy, 95)
    loud = np.flatnonzero(energy > floor + _SPEECH_LEVEL * (ceiling - floor))
    return (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(features) - 1)
