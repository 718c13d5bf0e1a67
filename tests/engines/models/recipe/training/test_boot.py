"""A few steps of stage 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from engines.models.recipe.training.batches import Corpus
from engines.models.recipe.training.boot import BootPlan, boot
from engines.models.recipe.training.network import Network, NetworkShape
from engines.models.recipe.training.tokeniser import Tokeniser

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


def test_stage_0_moves_every_weight_and_sets_the_statistics(shards: Path) -> None:
    tokeniser = Tokeniser()
    corpus = Corpus(shards, tokeniser)
    mean, inverse_spread = corpus.feature_statistics()

    checkpoint = boot(corpus, tokeniser, BootPlan(aligned_steps=3, ctc_steps=2))

    torch.manual_seed(BootPlan().seed)
    untrained = Network(NetworkShape()).state_dict()
    assert torch.equal(checkpoint.weights["feature_mean"], mean)
    assert torch.equal(checkpoint.weights["feature_inverse_spread"], inverse_spread)
    assert not any(torch.equal(value, untrained[name]) for name, value in checkpoint.weights.items())
    assert checkpoint.steps == 5
    assert checkpoint.audio_s > 0
