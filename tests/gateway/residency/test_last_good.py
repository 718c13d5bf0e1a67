"""What was in force survives a restart, whenever the machine dies."""

from __future__ import annotations

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
    for files, digest in ((OLD, "aa" * 32), (NEW, "bb" * 32), (OLD, "aa" * 32)):
        last_good.keep(files, digest)
        assert kept(LastGood(tmp_path / "new")) == files
    assert len([path for path in (tmp_path / "new").iterdir() if path.is_dir()]) == 1


def test_one_that_is_half_written_is_not_the_one_that_is_kept(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    last_good.keep(OLD, "aa" * 32)
    (tmp_path / "bb").mkdir()
    (tmp_path / "bb" / "bundle.toml").write_bytes(b"half")
    assert kept(last_good) == OLD


def test_a_pointer_that_leads_out_of_the_directory_is_none(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("../elsewhere\n")
    assert LastGood(tmp_path).folder() is None
