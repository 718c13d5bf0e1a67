"""Promises of a file that is in force: what cannot be used changes nothing, what is being written is not read."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from regions.watched_file import FileRefused, WatchedFile, read_text
from tests.harness.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


class Hearing:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def took(self, content: str) -> None:
        self.heard.append(content)

    def rejected(self, refused: FileRefused) -> None:
        self.heard.append(f"refused: {refused}")


def read(path: Path) -> str:
    text = read_text(path)
    if text.startswith("bad"):
        raise FileRefused(["one", "two"])
    return text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("first")
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)


def replace_alike(path: Path, text: str) -> None:
    """Put another file in its place, of the same size and time."""
    other = path.with_name("other")
    other.write_text(text)
    as_before = path.stat()
    os.utime(other, ns=(as_before.st_atime_ns, as_before.st_mtime_ns))
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


async def test_a_change_is_taken_at_the_second_look_that_sees_it_the_same(path: Path) -> None:
    hearing = Hearing()
    file = WatchedFile(path, read, hearing, look_interval_ms=10)
    await file.look()
    assert (file.content, hearing.heard) == ("first", [])
    write(path, "sec")
    await file.look()
    write(path, "second")
    await file.look()
    assert hearing.heard == []
    await file.look()
    assert (file.content, hearing.heard) == ("second", ["second"])


async def test_what_cannot_be_used_is_told_once_and_changes_nothing(path: Path) -> None:
    hearing = Hearing()
    file = WatchedFile(path, read, hearing, look_interval_ms=10)
    write(path, "bad")
    for _ in range(4):
        await file.look()
    assert (file.content, hearing.heard) == ("first", ["refused: one; two"])
    remove(path)
    for _ in range(3):
        await file.look()
    assert file.content == "first"
    assert hearing.heard[1:] == [f"refused: {path}: No such file or directory"]


async def test_a_file_that_is_put_in_its_place_with_the_same_size_and_time_is_seen(path: Path) -> None:
    hearing = Hearing()
    file = WatchedFile(path, read, hearing, look_interval_ms=10)
    replace_alike(path, "FIRST")
    async with asyncio.timeout(60):
        looking = asyncio.create_task(file.run())
        await until(lambda: hearing.heard == ["FIRST"])
        looking.cancel()


def test_a_file_that_cannot_be_used_at_start_is_refused(path: Path) -> None:
    path.write_bytes(b"ab\xff")
    with pytest.raises(FileRefused, match="not UTF-8 at byte 2"):
        WatchedFile(path, read, Hearing(), look_interval_ms=10)
    with pytest.raises(FileRefused, match="No such file"):
        WatchedFile(path.with_name("nothing"), read, Hearing(), look_interval_ms=10)
