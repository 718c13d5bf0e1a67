"""Each region on a machine has a folder of its own, and finds it again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gateway import data_directory
from gateway.data_directory import claim

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_region_finds_its_folder_again(tmp_path: Path) -> None:
    with claim(tmp_path) as first:
        (first.path / "note").write_text("mine")
    with claim(tmp_path) as again:
        assert (again.path / "note").read_text() == "mine"


def test_two_regions_at_once_share_nothing(tmp_path: Path) -> None:
    with claim(tmp_path) as one, claim(tmp_path) as other:
        assert one.path != other.path


def test_a_folder_stays_held_while_a_child_has_its_lock(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(mine.lock_fd,)
        )
    with claim(tmp_path) as next_one:
        assert next_one.path != mine.path
    child.communicate()
    with claim(tmp_path) as free_again:
        assert free_again.path == mine.path


def test_when_all_are_held_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_directory, "_MAX_REGIONS", 1)
    with claim(tmp_path), pytest.raises(OSError, match="more than 1 regions"), claim(tmp_path):
        raise AssertionError("two regions hold one folder")


def test_only_its_user_may_look(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        assert oct(os.stat(mine.path).st_mode & 0o777) == "0o700"
