"""One small shard of speech for all tests of training; nothing of it is imported unless a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one shard of 80 utterances and 3 noises, made without Festival."""
    from engines.models.recipe.training.shards import make_shard

    folder = tmp_path_factory.mktemp("shards")
    make_shard(folder / "000", seed=1, festival=None, num_utterances=80, num_noises=3)
    return folder
