"""A few steps of CTC training, and how a stage paces itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from engines.models.recipe.training.batches import Corpus
from engines.models.recipe.training.checkpoints import Checkpoint, load
from engines.models.recipe.training.network import Network, NetworkShape
from engines.models.recipe.training.tokeniser import Tokeniser
from engines.models.recipe.training.train import Progress, TrainingPlan, train

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


@pytest.fixture
def start() -> Checkpoint:
    torch.manual_seed(0)
    weights = Network(NetworkShape()).state_dict()
    return Checkpoint(NetworkShape(), weights, weights)


def test_a_stage_of_so_many_steps_takes_them_and_saves(shards: Path, start: Checkpoint, tmp_path: Path) -> None:
    tokeniser = Tokeniser()

    trained = train(
        Corpus(shards, tokeniser), tokeniser, start, TrainingPlan(minutes=None, steps=12), tmp_path / "out.pt"
    )

    stored = load(tmp_path / "out.pt")
    assert stored.steps == trained.steps == 12
    assert any(not torch.equal(value, start.weights[name]) for name, value in stored.weights.items())
    assert any(not torch.equal(value, stored.weights[name]) for name, value in stored.averaged.items())


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    progress = Progress(TrainingPlan(minutes=None, steps=1_000, learning_rate=1.0))
    rates = []
    for progress.steps in (0, 100, 199, 500, 999):
        rates.append(progress.learning_rate)

    assert rates[0] == pytest.approx(1.01 / 200)
    assert rates[1] == pytest.approx(0.5, abs=0.02)
    assert max(rates) == rates[2]
    assert rates[3] == pytest.approx(0.51)
    assert rates[4] == pytest.approx(0.01, abs=0.001)


def test_a_stage_can_stop_before_its_rate_has_fallen() -> None:
    assert Progress(TrainingPlan(minutes=42, stop_after_minutes=0)).is_over
    assert not Progress(TrainingPlan(minutes=42)).is_over
    assert Progress(TrainingPlan(minutes=42, easy_minutes=4)).is_easy
