"""A file whose content is in force: read at start, and again whenever it changes.

These must stay true:
  - A file that cannot be used changes nothing: what was in force stays so.
  - A changed file is read only when two looks in a row saw it the same, and taken only if it was the same before and
    after reading: a file that is being written is not read in the middle, as long as its writer does not pause for
    longer than the time between two looks.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Content = TypeVar("Content")
_Taken = TypeVar("_Taken", contravariant=True)
MAX_FILE_BYTES = 8_388_608


class FileRefused(Exception):
    """A file cannot be used; `mistakes` lists each, with the place where it stands."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


class Listener(Protocol[_Taken]):
    """Who is told of later versions."""

    def took(self, content: _Taken) -> None:
        """This is in force from here on."""

    def rejected(self, refused: FileRefused) -> None:
        """The file says something else that cannot be used."""


class _Stamp(NamedTuple):
    """What changes whenever a file's content does. Of what a link points to, so that a swapped link shows too."""

    device: int
    inode: int
    size_bytes: int
    modified_at_ns: int
    changed_at_ns: int


class WatchedFile(Generic[Content]):
    """`read` parses a file; it raises FileRefused, and runs in a thread.

    Raises:
        FileRefused: there is nothing to go on with at start.
    """

    def __init__(
        self, path: Path, read: Callable[[Path], Content], listener: Listener[Content], *, look_interval_ms: int
    ) -> None:
        self._path = path
        self._read = read
        self._listener = listener
        self._look_interval_ms = look_interval_ms
        self._taken = self._last_seen = _stamp(path)
        self._content = read(path)

    @property
    def content(self) -> Content:
        """What is in force."""
        return self._content

    async def run(self) -> None:
        """Look after the file until cancelled."""
        while True:
            await asyncio.sleep(self._look_interval_ms / 1_000)
            await self.look()

    async def look(self) -> None:
        """See whether the file has changed; at the second look that sees the same change, take it."""
        seen = await asyncio.to_thread(_stamp, self._path)
        is_still = seen == self._last_seen
        self._last_seen = seen
        if seen == self._taken or not is_still:
            return
        try:
            content = await asyncio.to_thread(self._read, self._path)
        except FileRefused as refused:
            if await self._is_as(seen):
                self._listener.rejected(refused)
            return
        if await self._is_as(seen):
            self._content = content
            self._listener.took(content)

    async def _is_as(self, seen: _Stamp | None) -> bool:
        """Whether what was read is what was seen; then it need not be read again."""
        self._last_seen = await asyncio.to_thread(_stamp, self._path)
        if self._last_seen != seen:
            return False
        self._taken = seen
        return True


def read_text(path: Path) -> str:
    """Raises FileRefused: not there, too large, or not UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FileRefused([f"{path}: {error.strerror}"]) from None
    if len(raw) > MAX_FILE_BYTES:
        raise FileRefused([f"larger than {MAX_FILE_BYTES} bytes"])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise FileRefused([f"not UTF-8 at byte {error.start}"]) from None


def _stamp(path: Path) -> _Stamp | None:
    """None where there is no file to read."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
