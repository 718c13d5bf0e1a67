"""Shards on disk."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.models.recipe.training.shards import features_path, finished_shards, read_shard

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


def test_rows_lie_one_after_the_other_and_cover_the_shard(shards: Path) -> None:
    features, rows = read_shard(shards / "000")
    position = 0
    for row in rows:
        assert row.first_frame == position
        position += row.num_frames

    assert features.shape == (position, 80)
    assert features.dtype == np.float16
    assert np.isfinite(features.astype(np.float32)).all()


def test_noise_alone_has_an_empty_label(shards: Path) -> None:
    _, rows = read_shard(shards / "000")

    assert [row.text == "" for row in rows] == [row.voice == "noise" for row in rows]
    assert sum(row.text == "" for row in rows) == 3


def test_a_seed_makes_the_same_shard_again(tmp_path: Path) -> None:
    for name in ("a", "b"):  # in processes of their own: the synthesisers carry state from one utterance to the next
        command = ["-m", "engines.models.recipe.training.shards", "--without-festival", "--utterances", "6"]
        subprocess.run([sys.executable, *command, "--shards", "1", "--out", str(tmp_path / name)], check=True)

    assert features_path(tmp_path / "a/000").read_bytes() == features_path(tmp_path / "b/000").read_bytes()
    assert read_shard(tmp_path / "a/000")[1] == read_shard(tmp_path / "b/000")[1]


def test_a_shard_without_its_index_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "000.features.npy").write_bytes(b"half written")
    (tmp_path / "000.json.part").write_text("[]")

    assert finished_shards(tmp_path) == []
