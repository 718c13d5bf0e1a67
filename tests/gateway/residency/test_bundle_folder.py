"""A folder is read whole and within bounds, or refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gateway.residency import bundle_folder
from gateway.residency.bundle_folder import FolderRefused, read_folder, stamp_of
from tests.harness.residency_bundle import residency_files
from tests.harness.residency_folder import written

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_every_file_is_read_by_its_path_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    files = residency_files()
    written(tmp_path, files)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(b"ref")
    assert read_folder(tmp_path) == files


def test_what_is_no_plain_file_or_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderRefused):
        read_folder(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FolderRefused, match="pipe: not a plain file"):
        read_folder(tmp_path)


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "up").symlink_to(tmp_path)
    with pytest.raises(FolderRefused, match="up"):
        read_folder(tmp_path / "bundle")


def test_too_much_is_refused_before_it_is_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, {"a": b"12345", "b": b"12345", "c/d/e/f/g": b""})
    with pytest.raises(FolderRefused, match="deep"):
        read_folder(tmp_path)
    written(tmp_path / "flat", {"a": b"12345", "b": b"12345"})
    for name, bound, why in [
        ("MAX_FILE_BYTES", 4, "a: larger"),
        ("MAX_BUNDLE_BYTES", 9, "in all"),
        ("MAX_FILES", 1, "more than 1 files"),
    ]:
        with monkeypatch.context() as patched:
            patched.setattr(bundle_folder, name, bound)
            with pytest.raises(FolderRefused, match=why):
                read_folder(tmp_path / "flat")


def test_a_stamp_changes_with_any_file_and_is_none_without_a_folder(tmp_path: Path) -> None:
    written(tmp_path, {"a": b"1", "b": b"2"})
    before = stamp_of(tmp_path)
    assert stamp_of(tmp_path) == before
    written(tmp_path, {"b": b"3"})
    assert stamp_of(tmp_path) != before
    assert stamp_of(tmp_path / "nowhere") is None


def test_a_name_that_no_terminal_should_see_is_written_out(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m").symlink_to("/dev/null")
    with pytest.raises(FolderRefused) as refused:
        read_folder(tmp_path)
    assert refused.value.mistakes == ["a<U+001B>[31m: not a plain file"]
