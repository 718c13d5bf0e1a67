"""The bundle in force, kept on disk: a gateway that starts while the folder cannot be used goes on with it.

What is kept is no more trusted than the folder is: its signatures and dates are checked again. Blocks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CURRENT = "current"
_NAME_CHARS = 32


class LastGood:
    """`keep` replaces what was kept, in one step: whenever the machine dies, one of the two is there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def folder(self) -> Path | None:
        """Where the kept bundle lies; None: nothing is kept."""
        try:
            name = (self._directory / _CURRENT).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return self._directory / name if name.isalnum() else None

    def keep(self, files: Mapping[str, bytes], digest: str) -> None:
        """Raises OSError: it could not be kept; what was kept before still is."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Signatures are not part of the digest, and may have become more.
        new = Path(tempfile.mkdtemp(prefix=f"{digest[:_NAME_CHARS]}x", dir=self._directory))
        name = "".join(char for char in new.name if char.isalnum())
        target = self._directory / name
        for path, data in files.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        if new != target:
            new.rename(target)
        pointer = self._directory / f".{_CURRENT}"
        with pointer.open("w", encoding="ascii") as out:
            out.write(name + "\n")
            out.flush()
            os.fsync(out.fileno())
        pointer.replace(self._directory / _CURRENT)
        for other in self._directory.iterdir():
            if other.is_dir() and other.name != name:
                with contextlib.suppress(OSError):
                    shutil.rmtree(other)
