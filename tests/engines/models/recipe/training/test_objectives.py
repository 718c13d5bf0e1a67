"""Losses and guessed alignments."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from engines.models.recipe.training.batches import BatchMaker, Corpus, LabelledUtterance
from engines.models.recipe.training.objectives import ctc_per_token, flat_start_loss, flat_start_targets, loud_part
from engines.models.recipe.training.tokeniser import Tokeniser

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


def utterance(*, tokens: tuple[int, ...]) -> LabelledUtterance:
    """One second of silence, one of speech, one of silence."""
    features = np.full((300, 80), -15, np.float16)
    features[100:200] = -5
    return LabelledUtterance(features, 0, 300, tokens, "slt")


def test_the_loud_part_is_where_the_energy_is() -> None:
    assert loud_part(utterance(tokens=(1,)).features()) == (100, 199)


def test_tokens_are_spread_over_the_loud_part_by_their_letters() -> None:
    tokeniser = Tokeniser()
    tokens = tuple(tokeniser.encode("seven two"))
    batch = BatchMaker(feature_mean=torch.zeros(80), rng=Random(0)).make([utterance(tokens=tokens)], masked_share=0.0)

    (row,) = flat_start_targets(batch, tokeniser, num_outputs=37)
    spoken = [token for token in row.tolist() if token != tokeniser.blank]

    assert list(dict.fromkeys(spoken)) == list(tokens)
    assert 11 <= len(spoken) <= 14  # one second
    assert spoken.count(tokens[0]) > spoken.count(tokens[-1])


def test_an_utterance_without_words_gets_blanks_only() -> None:
    tokeniser = Tokeniser()
    batch = BatchMaker(feature_mean=torch.zeros(80), rng=Random(0)).make([utterance(tokens=())], masked_share=0.0)

    assert (flat_start_targets(batch, tokeniser, num_outputs=37) == tokeniser.blank).all()


def test_losses_fall_when_the_scores_are_right() -> None:
    targets = torch.tensor([[512, 7, 512, 9]])
    right = torch.nn.functional.one_hot(targets, 513).float() * 20
    batch = BatchMaker(feature_mean=torch.zeros(80), rng=Random(0)).make([utterance(tokens=(7, 9))], masked_share=0.0)

    assert flat_start_loss(right, targets, blank=512) < 0.01 < flat_start_loss(0 * right, targets, blank=512)
    assert ctc_per_token(right, torch.tensor([4]), batch, blank=512) < 0.01
    assert ctc_per_token(0 * right, torch.tensor([4]), batch, blank=512) > 5


def test_noise_alone_has_a_loss_that_is_a_number(shards: Path) -> None:
    noises = [noise for noise in Corpus(shards, Tokeniser()).utterances() if not noise.tokens]
    batch = BatchMaker(feature_mean=torch.zeros(80), rng=Random(0)).make(noises, masked_share=0.0)

    loss = ctc_per_token(torch.zeros(len(noises), 60, 513), torch.full((len(noises),), 60), batch, blank=512)
    assert torch.isfinite(loss)
