"""A directory that one process holds, and logs of files that only grow."""

from __future__ import annotations

import errno
import os
import resource
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.metering.errors import JournalUnusable
from gateway.metering.journal_files import FileLog, HeldDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.unit


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """The system refuses what goes beyond, after it took what still fits, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def begun(path: Path) -> FileLog:
    log = FileLog(path, "tabs")
    log.begin()
    return log


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def test_two_never_hold_the_same_directory(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "journal"
    held = HeldDirectory(folder)
    with pytest.raises(JournalUnusable, match="another process"):
        HeldDirectory(folder)
    held.release()
    HeldDirectory(folder).release()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnusable, match="cannot be used"):
        HeldDirectory(tmp_path / "file" / "journal")


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    HeldDirectory(folder).release()
    begun(folder).append(b"some", at_ms=1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_what_is_appended_stands_in_the_file_at_once(tmp_path: Path) -> None:
    log = begun(tmp_path)
    log.append(b"some", at_ms=1)
    log.append(b"more", at_ms=2)
    assert (tmp_path / "tabs-00000000.journal").read_bytes() == b"somemore"
    assert [(file.size_bytes, file.newest_at_ms) for file in log.files] == [(8, 2)]


def test_the_next_process_never_writes_to_an_older_file(tmp_path: Path) -> None:
    begun(tmp_path).append(b"some", at_ms=1)
    log = FileLog(tmp_path, "tabs")
    assert not log.is_open
    assert log.begin() == 1
    log.append(b"more", at_ms=2)
    assert names(tmp_path) == ["tabs-00000000.journal", "tabs-00000001.journal"]


def test_a_full_disk_leaves_no_half_of_what_was_appended(tmp_path: Path) -> None:
    log = begun(tmp_path)
    log.append(b"x" * 10_000, at_ms=1)
    with files_no_larger_than(15_000), pytest.raises(OSError, match="too large") as refused:
        log.append(b"y" * 10_000, at_ms=2)
    assert refused.value.errno == errno.EFBIG
    assert (tmp_path / "tabs-00000000.journal").read_bytes() == b"x" * 10_000
    log.begin()
    log.append(b"z", at_ms=3)
    assert [file.size_bytes for file in log.files] == [10_000, 1]


def test_a_new_file_that_could_not_be_written_is_gone(tmp_path: Path) -> None:
    log = begun(tmp_path)
    with files_no_larger_than(100), pytest.raises(OSError, match="too large"):
        log.append(b"x" * 1_000, at_ms=1)
    assert (names(tmp_path), log.files) == ([], [])


def test_after_a_failed_sync_the_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = begun(tmp_path)
    log.append(b"some", at_ms=1)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail_with_eio)
        with pytest.raises(OSError, match="error"):
            log.append(b"lost", at_ms=2)
    assert not log.is_open
    log.begin()
    log.append(b"more", at_ms=3)
    assert [file.path.read_bytes() for file in log.files] == [b"some", b"more"]


def fail_with_eio(_descriptor: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_the_oldest_files_are_forgotten_but_never_the_one_that_is_written(tmp_path: Path) -> None:
    log = FileLog(tmp_path, "tabs")
    for number in range(3):
        assert log.begin() == number
        log.append(b"x", at_ms=number)
    assert [file.number for file in log.forget_below(2)] == [0, 1]
    assert log.forget_below(9) == []
    assert log.total_bytes == 1


def test_a_torn_end_is_cut_off(tmp_path: Path) -> None:
    begun(tmp_path).append(b"whole-torn", at_ms=1)
    log = FileLog(tmp_path, "tabs")
    log.cut(log.files[0], to_bytes=5)
    assert log.files[0].path.read_bytes() == b"whole"
    assert log.total_bytes == 5


def test_files_of_another_kind_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "events-00000007.journal").touch()
    (tmp_path / "tabs-7.txt").touch()
    assert FileLog(tmp_path, "tabs").files == []
