from __future__ import annotations

from pathlib import Path

import pytest

from gateway.decision_log.opened_files import log_files
from policies.residency.record_chain.chain import MAX_LINE_BYTES
from tests.harness.decision_logs import made_log


def test_files_of_a_log_are_found_by_name_and_nothing_else(tmp_path: Path) -> None:
    log = made_log()
    for name, content in {**log, "notes.txt": b"", ".hidden.new": b""}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "eu-1.0000000000000000.000001.jsonl").symlink_to(tmp_path / "notes.txt")
    assert set(log_files(tmp_path)) == set(log)


def test_a_file_is_opened_when_it_is_read_and_a_line_without_end_comes_in_pieces(tmp_path: Path) -> None:
    name = "eu-1.0000000000000000.000001.jsonl"
    (tmp_path / name).write_bytes(b"one\ntwo\n" + b"x" * 3 * MAX_LINE_BYTES)
    lines = list(log_files(tmp_path)[name]())
    assert lines[:2] == [b"one\n", b"two\n"]
    assert max(map(len, lines)) == 2 * MAX_LINE_BYTES


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        log_files(tmp_path / "missing")
