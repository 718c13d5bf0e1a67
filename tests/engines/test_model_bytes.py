"""The bytes of a model's files name its version and its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.model_bytes import checked_header, files_version

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


@pytest.fixture
def model(toy_model: Any, tmp_path: Path) -> Path:
    path: Path = toy_model.write(tmp_path) / "model.onnx"
    return path


def test_a_sound_file_has_no_mistakes(model: Path) -> None:
    mistakes: list[str] = []
    header = checked_header(model, max_bytes=1 << 20, mistakes=mistakes)
    assert mistakes == []
    assert "vocab_size" in header.metadata_keys


def test_a_file_beyond_the_limit_is_not_read(model: Path) -> None:
    mistakes: list[str] = []
    header = checked_header(model, max_bytes=10, mistakes=mistakes)
    assert "at most 10 are allowed" in mistakes[0]
    assert header.metadata_keys == []


def test_every_byte_of_every_file_counts_for_the_version(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes())
    header = checked_header(model, max_bytes=1 << 20, mistakes=[])
    before = files_version({model: header, other: header})
    other.write_bytes(model.read_bytes() + b"\x00")
    assert len(before) == 16
    assert files_version({model: header, other: header}) != before
    assert files_version({other: header, model: header}) != files_version({model: header, other: header})
