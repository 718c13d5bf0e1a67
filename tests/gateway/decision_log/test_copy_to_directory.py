from __future__ import annotations

from pathlib import Path

import pytest

from gateway.decision_log.copies import CopyDiffers, CopyFailed
from gateway.decision_log.copy_to_directory import DirectoryCopy
from policies.residency.record_chain.chain import records_file, until_file

WRITER = "eu-1/0123456789abcdef"


def test_a_file_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    source = tmp_path / "source"
    source.write_bytes(b"content")
    copy = DirectoryCopy("directory-1", tmp_path / "copy")
    assert not copy.has("name", 7)
    copy.put("name", source)
    assert copy.has("name", 7)
    with pytest.raises(CopyDiffers):
        copy.has("name", 8)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["name"]


def test_single_checkpoints_go_when_the_whole_file_is_there(tmp_path: Path) -> None:
    copy = DirectoryCopy("directory-1", tmp_path)
    for writer, number in ((WRITER, 1), (WRITER, 2), ("eu-1/00000000000000aa", 1)):
        copy.put_checkpoint(until_file(writer, number, 5), b"line\n")
    copy.sealed(WRITER, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        until_file("eu-1/00000000000000aa", 1, 5),
        until_file(WRITER, 2, 5),
    ]


def test_what_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    copy = DirectoryCopy("directory-1", tmp_path / "missing")
    source = tmp_path / "source"
    source.write_bytes(b"content")
    with pytest.raises(CopyFailed, match="ENOENT"):
        copy.put(records_file(WRITER, 1), source)
    with pytest.raises(CopyFailed, match="ENOENT"):
        copy.put_checkpoint("name", b"")
    copy = DirectoryCopy("directory-1", source)
    with pytest.raises(CopyFailed, match="ENOTDIR"):
        copy.has("name", 1)
