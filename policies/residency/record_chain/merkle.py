"""The tree over the lines that one checkpoint covers: RFC 9162 §2.1, with SHA-256.

An entry is the 32-byte SHA-256 of a line. So one line can be shown to be under a signature, without the others.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_sha256 = hashlib.sha256


def tree_root(entries: Sequence[bytes]) -> bytes:
    """RFC 9162 §2.1.1; of nothing, the hash of nothing."""
    if not entries:
        return _sha256(b"").digest()
    level = _leaves(entries)
    while len(level) > 1:
        level = _above(level)
    return level[0]


class Tree:
    """The tree over some entries, kept: it gives many paths."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self._levels = [_leaves(entries)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))

    @property
    def root(self) -> bytes:
        return self._levels[-1][0] if self._levels[-1] else _sha256(b"").digest()

    def path(self, index: int) -> list[bytes]:
        """RFC 9162 §2.1.3.1: the siblings on the way from one entry to the root, from below."""
        path = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                path.append(level[index ^ 1])
            index //= 2
        return path


def root_of_path(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """RFC 9162 §2.1.3.2: the root that entry and path lead to; None: the path is not one of such a tree."""
    if not 0 <= index < size:
        return None
    node, last, used = _sha256(b"\x00" + entry).digest(), size - 1, 0
    while last > 0:
        if index % 2 == 1 or index < last:
            if used == len(path):
                return None
            pair = path[used] + node if index % 2 == 1 else node + path[used]
            node, used = _sha256(b"\x01" + pair).digest(), used + 1
        index, last = index // 2, last // 2
    return node if used == len(path) else None


def _leaves(entries: Sequence[bytes]) -> list[bytes]:
    return [_sha256(b"\x00" + entry).digest() for entry in entries]


def _above(level: list[bytes]) -> list[bytes]:
    """A node without a sibling goes up as it is: so the left tree is always the largest full one."""
    nodes = [_sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
    if len(level) % 2:
        nodes.append(level[-1])
    return nodes
