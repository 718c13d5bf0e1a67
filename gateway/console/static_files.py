"""The files of the console, read once from the package: their types and their tags."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_TAG_CHARS = 32


@dataclass(frozen=True, slots=True)
class StaticFile:
    """`tag`: the same as long as the bytes are."""

    content_type: str
    body: bytes
    tag: str


def read_static_files() -> dict[str, StaticFile]:
    """By path below `static`, with slashes; files of other kinds are left out."""
    return dict(_read(files("gateway.console") / "static", PurePosixPath()))


def _read(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[str, StaticFile]]:
    for entry in folder.iterdir():
        below = path / entry.name
        if entry.is_dir():
            yield from _read(entry, below)
        elif below.suffix in _TYPES:
            body = entry.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:_TAG_CHARS]
            yield str(below), StaticFile(_TYPES[below.suffix], body, tag)
