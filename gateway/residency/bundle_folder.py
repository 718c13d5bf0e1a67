"""A bundle's folder as bytes: read whole, within bounds, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from policies.residency.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE_BYTES = 8_388_608
MAX_FILES = 2_000
MAX_BUNDLE_BYTES = 67_108_864
MAX_DEPTH = 4

Stamp = tuple[tuple[str, int, int, int, int], ...]
"""Of every file: path, inode, size, when it was modified and when it was changed."""


class FolderRefused(Exception):
    """The folder cannot be read as a bundle; `mistakes` lists each."""

    def __init__(self, mistakes: list[str]) -> None:
        shown = [visible(mistake).encode("utf-8", "backslashreplace").decode() for mistake in mistakes]
        super().__init__("; ".join(shown))
        self.mistakes = shown


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file, by its path with `/`, as policies.residency.bundles.bundle.read_bundle takes them.

    Files and folders whose names begin with a dot are left out. A link to a folder is followed only where it is the
    bundle's own (`folder` itself): a bundle holds no others.

    Raises:
        FolderRefused: not there, too many or too large files, or something that is no plain file.
    """
    files: dict[str, bytes] = {}
    total_bytes = 0
    for path, where in _files_of(folder):
        data = _read(where, path)
        total_bytes += len(data)
        if total_bytes > MAX_BUNDLE_BYTES:
            raise FolderRefused([f"{folder}: larger than {MAX_BUNDLE_BYTES} bytes in all"])
        files[path] = data
    return files


def stamp_of(folder: Path) -> Stamp | None:
    """What changes whenever any of its files does; None: there is no folder to read."""
    try:
        found = []
        for path, where in _files_of(folder):
            seen = where.stat()
            found.append((path, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))
        return tuple(found)
    except (OSError, FolderRefused):
        return None


def _files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Sorted by path. Raises FolderRefused."""
    found: list[tuple[str, Path]] = []
    try:
        _walk(folder, "", found)
    except OSError as error:
        raise FolderRefused([f"{error.filename or folder}: {error.strerror}"]) from None
    return iter(sorted(found))


def _walk(folder: Path, prefix: str, found: list[tuple[str, Path]]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if path.count("/") + 1 >= MAX_DEPTH:
                    raise FolderRefused([f"{path}: folders in a bundle lie {MAX_DEPTH - 1} deep at most"])
                _walk(Path(entry.path), f"{path}/", found)
                continue
            if not stat.S_ISREG(entry.stat(follow_symlinks=True).st_mode):
                raise FolderRefused([f"{path}: not a plain file"])
            found.append((path, Path(entry.path)))
            if len(found) > MAX_FILES:
                raise FolderRefused([f"more than {MAX_FILES} files"])


def _read(where: Path, path: str) -> bytes:
    try:
        with where.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FolderRefused([f"{path}: {error.strerror}"]) from None
    if len(data) > MAX_FILE_BYTES:
        raise FolderRefused([f"{path}: larger than {MAX_FILE_BYTES} bytes"])
    return data
