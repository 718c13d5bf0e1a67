from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from gateway.decision_log.log_file import FileLost, LogFileOpen, append_line, write_all, write_whole


def test_what_is_appended_is_there(tmp_path: Path) -> None:
    file = LogFileOpen(tmp_path / "log")
    file.append(b"one\n")
    file.append(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert (file.size_bytes, file.torn_bytes()) == (8, 0)
    file.close()
    with pytest.raises(FileExistsError):
        LogFileOpen(tmp_path / "log")


def test_a_file_that_is_not_what_was_written_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for disturb in (
        lambda: path.unlink(),
        lambda: path.write_bytes(b"longer than it was"),
        lambda: os.truncate(path, 1),
        lambda: (path.rename(tmp_path / "away"), path.write_bytes(b"one\n")),
    ):
        file = LogFileOpen(path)
        file.append(b"one\n")
        disturb()
        with pytest.raises(FileLost):
            file.append(b"two\n")
        assert file.torn_bytes() in (0, len(b"longer than it was") - 4)
        file.close()
        path.unlink(missing_ok=True)


def test_a_line_is_appended_to_a_file_that_is_opened_for_it(tmp_path: Path) -> None:
    append_line(tmp_path / "small", b"one")
    append_line(tmp_path / "small", b"two")
    assert (tmp_path / "small").read_bytes() == b"one\ntwo\n"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(OSError, match="missing"):
        write_whole(tmp_path / "missing" / "file", b"content")


def test_short_writes_are_gone_on_with() -> None:
    reading, writing = os.pipe()
    write_all(writing, b"abc")
    os.close(writing)
    assert os.read(reading, 10) == b"abc"
    os.close(reading)


def test_a_file_is_locked_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else another gateway could take it for left behind in between."""
    names: list[list[str]] = []
    lock = fcntl.flock

    def locking(descriptor: int, how: int) -> None:
        names.append([path.name for path in tmp_path.iterdir()])
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", locking)
    file = LogFileOpen(tmp_path / "log.jsonl")
    file.append(b"line\n")
    assert [name for found in names for name in found if name == "log.jsonl"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    with pytest.raises(FileExistsError):
        LogFileOpen(tmp_path / "log.jsonl")
    file.close()
