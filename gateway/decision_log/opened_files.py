"""The files of a decision log in a directory, for those who read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.residency.record_chain.chain import MAX_LINE_BYTES, parse_file_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from policies.residency.record_chain.verify_checkpoints import Lines, LogFiles

_LONGEST_PIECE_BYTES = 2 * MAX_LINE_BYTES
"""A line that is longer comes in pieces; none of them is a record."""


def log_files(directory: Path) -> LogFiles:
    """By name. Raises OSError: the directory cannot be read."""
    files = {}
    for path in directory.iterdir():
        if parse_file_name(path.name) is not None and path.is_file() and not path.is_symlink():
            files[path.name] = lines_of(path)
    return files


def lines_of(path: Path) -> Lines:
    """Of one file, each with its end."""

    def lines() -> Iterator[bytes]:
        with path.open("rb", buffering=1 << 20) as file:
            while line := file.readline(_LONGEST_PIECE_BYTES):
                yield line

    return lines
