"""What was in force survives a restart, whenever the machine dies."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from gateway.residency.bundle_folder import read_folder
from gateway.residency.last_good import LastGood

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

OLD, NEW = {"bundle.toml": b"1", "rules/a.cedar": b"x"}, {"bundle.toml": b"2"}


def kept(last_good: LastGood) -> dict[str, bytes]:
    folder = last_good.folder()
    assert folder is not None
    return read_folder(folder)


def test_nothing_is_kept_at_first(tmp_path: Path) -> None:
    assert LastGood(tmp_path / "new").folder() is None


def test_the_latest_is_kept_and_no_other(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path / "new")
    for files in (OLD, NEW, OLD):
        last_good.keep(files)
        assert kept(LastGood(tmp_path / "new")) == files


def test_what_has_not_been_used_for_a_while_is_cleaned_away(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    last_good.keep(OLD)
    old = last_good.folder()
    assert old is not None
    last_good.keep(NEW)
    assert old.is_dir(), "another process may be about to name it"
    os.utime(old, (0, 0))
    last_good.keep(NEW)
    assert not old.is_dir()
    assert kept(last_good) == NEW


def test_signatures_that_came_later_are_kept_too(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    for files in (OLD, OLD | {"signatures/ada.sig": b"x"}):
        last_good.keep(files)
        assert kept(last_good) == files


def test_one_that_is_half_written_is_not_the_one_that_is_kept(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    last_good.keep(OLD)
    (tmp_path / "bb").mkdir()
    (tmp_path / "bb" / "bundle.toml").write_bytes(b"half")
    assert kept(last_good) == OLD


def test_a_pointer_that_leads_out_of_the_directory_is_none(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("../elsewhere\n")
    assert LastGood(tmp_path).folder() is None


def test_what_the_disk_lost_is_written_anew(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    last_good.keep(OLD)
    folder = last_good.folder()
    assert folder is not None
    (folder / "rules" / "a.cedar").write_bytes(b"")
    last_good.keep(OLD)
    assert kept(last_good) == OLD


def test_a_full_disk_leaves_what_was_kept_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_good = LastGood(tmp_path)
    last_good.keep(OLD)
    before = sorted(tmp_path.iterdir())

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            last_good.keep(NEW)
    assert kept(last_good) == OLD
    assert sorted(tmp_path.iterdir()) == before


def test_what_others_have_in_the_directory_is_never_cleaned_away(tmp_path: Path) -> None:
    last_good, theirs = LastGood(tmp_path), tmp_path / "journal"
    theirs.mkdir()
    left = tmp_path / ".bundle-left"
    left.write_bytes(b"x")
    for each in (theirs, left):
        os.utime(each, (0, 0))
    last_good.keep(OLD)
    assert (theirs.is_dir(), left.exists()) == (True, False)
