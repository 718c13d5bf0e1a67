"""The notes of running regions: whole or not there, newest first, and none of the dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gateway.running_regions import announce, newest, withdraw

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def note(pid: int, name: str = "a") -> dict[str, Any]:
    return {"pid": pid, "http": f"http://{name}"}


def age(state: Path, pid: int, seconds: int) -> None:
    path = state / "running" / f"{pid}.json"
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))


@pytest.fixture
def dead_pid() -> int:
    """Of a process that ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_what_was_announced_is_found(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    announce(tmp_path, note(os.getpid()))
    assert newest(tmp_path) == note(os.getpid())


def test_a_note_is_renewed_in_place_and_leaves_no_draft(tmp_path: Path) -> None:
    announce(tmp_path, note(os.getpid(), "before"))
    announce(tmp_path, note(os.getpid(), "after"))
    assert newest(tmp_path) == note(os.getpid(), "after")
    assert [path.name for path in (tmp_path / "running").iterdir()] == [f"{os.getpid()}.json"]


def test_the_region_that_was_announced_last_is_the_one(tmp_path: Path) -> None:
    announce(tmp_path, note(os.getpid(), "old"))
    announce(tmp_path, note(os.getppid(), "new"))
    age(tmp_path, os.getpid(), 60)
    assert newest(tmp_path) == note(os.getppid(), "new")
    age(tmp_path, os.getppid(), 120)
    assert newest(tmp_path) == note(os.getpid(), "old")


def test_what_is_withdrawn_is_gone_and_may_be_withdrawn_again(tmp_path: Path) -> None:
    announce(tmp_path, note(os.getpid()))
    for _ in range(2):
        withdraw(tmp_path, os.getpid())
        assert newest(tmp_path) is None


def test_notes_of_the_dead_are_neither_believed_nor_kept(tmp_path: Path, dead_pid: int) -> None:
    announce(tmp_path, note(os.getpid(), "alive"))
    announce(tmp_path, note(dead_pid, "dead"))
    assert newest(tmp_path) == note(os.getpid(), "alive")
    assert [path.name for path in (tmp_path / "running").iterdir()] == [f"{os.getpid()}.json"]


@pytest.mark.parametrize("content", ["", "{", '"text"', "[]", "null"])
def test_a_note_that_is_no_note_is_passed_over(tmp_path: Path, content: str) -> None:
    announce(tmp_path, note(os.getpid(), "good"))
    (tmp_path / "running" / f"{os.getppid()}.json").write_text(content)
    age(tmp_path, os.getpid(), 60)
    assert newest(tmp_path) == note(os.getpid(), "good")


def test_other_files_in_the_folder_are_let_alone(tmp_path: Path) -> None:
    announce(tmp_path, note(os.getpid()))
    for name in ("letter.json", "7.txt"):
        (tmp_path / "running" / name).write_text(json.dumps(note(7)))
    assert newest(tmp_path) == note(os.getpid())
    assert len(list((tmp_path / "running").iterdir())) == 3


def test_only_the_user_may_look(tmp_path: Path) -> None:
    announce(tmp_path / "state", note(os.getpid()))
    assert (tmp_path / "state" / "running").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("any_address", "own"), [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")])
def test_a_region_that_listens_everywhere_is_found_on_this_machine(tmp_path: Path, any_address: str, own: str) -> None:
    """Commands without an address speak to it, and with the development key to no other machine."""
    announce(
        tmp_path,
        {
            "pid": os.getpid(),
            "websocket": f"ws://{any_address}:8080/v1/stream",
            "webtransport": f"https://{any_address}:4433/v1/stream",
            "grpc": f"{any_address}:8081",
            "decisions": f"/home/{any_address}:1",
        },
    )
    assert newest(tmp_path) == {
        "pid": os.getpid(),
        "websocket": f"ws://{own}:8080/v1/stream",
        "webtransport": f"https://{own}:4433/v1/stream",
        "grpc": f"{own}:8081",
        "decisions": f"/home/{any_address}:1",
    }
