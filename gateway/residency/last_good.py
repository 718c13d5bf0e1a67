"""The bundle in force, kept on disk: a gateway that starts while the folder cannot be used goes on with it.

What is kept is no more trusted than the folder is: its signatures and dates are checked again. Blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.residency.bundle_folder import FolderRefused, read_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

_CURRENT = "current"
_NEW = ".bundle-"
_OURS = re.compile(r"[0-9a-f]{64}|\.bundle-.+")
"""Names of what is kept here; nothing else is ever removed."""
_CLEANED_AFTER_S = 600.0


class LastGood:
    """`keep` replaces what was kept, in one step: whenever the machine dies, one of the two is there. Several processes
    may keep theirs in one directory; the last one's is what a start finds.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def folder(self) -> Path | None:
        """Where the kept bundle lies; None: nothing is kept."""
        name = self._name()
        return None if name is None else self._directory / name

    def _name(self) -> str | None:
        try:
            name = (self._directory / _CURRENT).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return name if name.isalnum() else None

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Raises OSError: it could not be kept; what was kept before still is."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = _name_of(files)
        target = self._directory / name
        if not _holds(target, files):
            shutil.rmtree(target, ignore_errors=True)
            self._write(files, target)
        descriptor, pointer = tempfile.mkstemp(prefix=_NEW, dir=self._directory)
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(name + "\n")
            out.flush()
            os.fsync(out.fileno())
        Path(pointer).replace(self._directory / _CURRENT)
        _reach_the_disk(self._directory)
        self._clean()

    def _write(self, files: Mapping[str, bytes], target: Path) -> None:
        """Whole or not at all, and on the disk before anything names it."""
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._directory))
        try:
            for path, data in files.items():
                file = new / path
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("wb") as out:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
            for folder in {new, *(file.parent for file in map(new.joinpath, files))}:
                _reach_the_disk(folder)
            new.rename(target)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            if not _holds(target, files):  # or another process was quicker
                raise

    def _clean(self) -> None:
        """Not what another process may be about to name."""
        name, old_s = self._name(), time.time() - _CLEANED_AFTER_S
        for other in self._directory.iterdir():
            with contextlib.suppress(OSError):
                if other.name == name or not _OURS.fullmatch(other.name) or other.stat().st_mtime >= old_s:
                    continue
                shutil.rmtree(other) if other.is_dir() else other.unlink()


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether all of it is there as it was; a disk may lose what was written before the machine died."""
    try:
        return read_folder(folder) == files
    except FolderRefused:
        return False


def _reach_the_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name_of(files: Mapping[str, bytes]) -> str:
    """Of all of it; signatures are not part of the bundle's digest, and may have become more."""
    digest = hashlib.sha256()
    for path, data in sorted(files.items()):
        digest.update(f"{path}\n{hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()
