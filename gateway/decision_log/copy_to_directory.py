"""A second copy in a directory. Files come whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from gateway.decision_log.copies import CopyDiffers, CopyFailed
from gateway.decision_log.log_file import sync_directory, write_whole
from policies.residency.record_chain.chain import parse_file_name

if TYPE_CHECKING:
    from pathlib import Path


class DirectoryCopy:
    """A CopyPlace. `directory` must be there: what is not mounted is not made."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory

    def has(self, name: str, size_bytes: int) -> bool:
        try:
            there = (self._directory / name).stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _failed(error) from error
        if there.st_size != size_bytes:
            raise CopyDiffers(name)
        return True

    def put(self, name: str, path: Path) -> None:
        beside = self._directory / f".{name}.{os.getpid()}.new"
        try:
            with path.open("rb") as source, beside.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            beside.replace(self._directory / name)
            sync_directory(self._directory)
        except OSError as error:
            raise _failed(error) from error

    def put_checkpoint(self, name: str, line: bytes) -> None:
        try:
            write_whole(self._directory / name, line)
        except OSError as error:
            raise _failed(error) from error

    def sealed(self, writer: str, number: int) -> None:
        for path in self._directory.glob(f"*.{number:06d}.until-*"):
            file = parse_file_name(path.name)
            if file is not None and (file.writer, file.number) == (writer, number):
                path.unlink(missing_ok=True)


def _failed(error: OSError) -> CopyFailed:
    return CopyFailed(errno.errorcode.get(error.errno or 0, "unknown"))
