"""Checkpoints on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from engines.models.recipe.training.checkpoints import Checkpoint, load, save
from engines.models.recipe.training.network import Network, NetworkShape

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    shape = NetworkShape(width=48, num_blocks=1, num_outputs=20, feed_forward_width=64)
    weights, averaged = Network(shape).state_dict(), Network(shape).state_dict()
    save(Checkpoint(shape, weights, averaged, steps=7, audio_s=1.5), tmp_path / "one.pt")

    loaded = load(tmp_path / "one.pt")

    assert (loaded.shape, loaded.steps, loaded.audio_s) == (shape, 7, 1.5)
    for network, wanted in (
        (loaded.network(averaged=False), weights),
        (loaded.network(averaged=True), averaged),
    ):
        assert all(torch.equal(value, wanted[name]) for name, value in network.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["one.pt"]
