"""Weights on disk, with the shape they belong to and what they cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from engines.models.recipe.training.network import Network, NetworkShape

if TYPE_CHECKING:
    from pathlib import Path

    Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of training.

    Attributes:
        shape: of the network.
        weights: as they are.
        averaged: their exponential moving average; what is exported.
        steps: optimiser steps of this run.
        audio_s: seconds of audio presented in this run.
    """

    shape: NetworkShape
    weights: Weights
    averaged: Weights
    steps: int = 0
    audio_s: float = 0.0

    def network(self, *, averaged: bool) -> Network:
        """A network that carries these weights."""
        network = Network(self.shape)
        network.load_state_dict(self.averaged if averaged else self.weights)
        return network


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write beside, then move, so that a stop in between leaves the last one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(
        {
            "shape": asdict(checkpoint.shape),
            "weights": checkpoint.weights,
            "averaged": checkpoint.averaged,
            "steps": checkpoint.steps,
            "audio_s": checkpoint.audio_s,
        },
        unfinished,
    )
    unfinished.rename(path)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; only tensors and plain values, never code."""
    stored = torch.load(path, weights_only=True)
    return Checkpoint(**{**stored, "shape": NetworkShape(**stored["shape"])})
