"""The bundle in force, kept on disk: a gateway that starts while the folder cannot be used goes on with it.

What is kept is no more trusted than the folder is: its signatures and dates are checked again. Blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CURRENT = "current"
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
        if not target.is_dir():
            self._write(files, target)
        descriptor, pointer = tempfile.mkstemp(prefix=".", dir=self._directory)
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(name + "\n")
            out.flush()
            os.fsync(out.fileno())
        Path(pointer).replace(self._directory / _CURRENT)
        self._clean()

    def _write(self, files: Mapping[str, bytes], target: Path) -> None:
        """Whole or not at all."""
        new = Path(tempfile.mkdtemp(prefix=".", dir=self._directory))
        for path, data in files.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        try:
            new.rename(target)
        except OSError:
            shutil.rmtree(new)
            if not target.is_dir():  # or another process was quicker
                raise

    def _clean(self) -> None:
        """Not what another process may be about to name."""
        name, old_s = self._name(), time.time() - _CLEANED_AFTER_S
        for other in self._directory.iterdir():
            with contextlib.suppress(OSError):
                if other.is_dir() and other.name != name and other.stat().st_mtime < old_s:
                    shutil.rmtree(other)


def _name_of(files: Mapping[str, bytes]) -> str:
    """Of all of it; signatures are not part of the bundle's digest, and may have become more."""
    digest = hashlib.sha256()
    for path, data in sorted(files.items()):
        digest.update(f"{path}\n{hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()
