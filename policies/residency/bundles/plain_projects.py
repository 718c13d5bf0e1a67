"""projects.toml line by line, as long as its lines are plain: twenty thousand projects in a fraction of a second.

A file that has one line of another kind, or one key twice, is left to the TOML reader as a whole: it reads all that
TOML has, and knows what to say about mistakes. What is read here is exactly what it would read; the tests compare them.
Nothing is held of a table that was given out, and no step takes long: other threads go on meanwhile.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = "[[projects]]"
_TEXT = r'"[^"\\\x00-\x1f\x7f]*"'
_LIST = rf"\[[ \t]*(?P<list>(?:{_TEXT}(?:,[ \t]*{_TEXT})*)?)[ \t]*\]"
_LINE = re.compile(rf"(?P<key>[A-Za-z0-9_-]+)[ \t]*=[ \t]*(?:(?P<text>{_TEXT})|(?P<flag>true|false)|{_LIST})[ \t]*")
_MEMBER = re.compile(_TEXT)
_COMMENT = re.compile(r"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?")
_MAX_LINES_KNOWN = 50_000


class _NotPlain(Exception):
    """The line is for the TOML reader."""


class _Lines:
    """Lines read before, as most are seen many times."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, object] | None] = {}

    def read(self, line: str) -> tuple[str, object] | None:
        """Key and value; None for a comment and for nothing.

        Raises:
            _NotPlain: it is something else.
        """
        if line in self._known:
            return self._known[line]
        said = None
        if (match := _LINE.fullmatch(line)) is not None:
            said = match["key"], _value(match)
        elif _COMMENT.fullmatch(line) is None:
            raise _NotPlain
        if len(self._known) < _MAX_LINES_KNOWN:
            self._known[line] = said
        return said


def read_plainly(text: str) -> Iterator[dict[str, object]] | None:
    """The tables of `[[projects]]`, one after the other; None: not all lines are plain."""
    lines = _Lines()
    return _tables(text, lines) if _is_plain(text, lines) else None


def _is_plain(text: str, lines: _Lines) -> bool:
    keys: set[str] | None = None
    for line in _split(text):
        if line == _HEAD:
            keys = set()
            continue
        try:
            said = lines.read(line)
        except _NotPlain:
            return False
        if said is None:
            continue
        if keys is None or said[0] in keys:
            return False
        keys.add(said[0])
    return True


def _tables(text: str, lines: _Lines) -> Iterator[dict[str, object]]:
    table: dict[str, object] | None = None
    for line in _split(text):
        if line == _HEAD:
            if table is not None:
                yield table
            table = {}
        elif table is not None and (said := lines.read(line)) is not None:
            table[said[0]] = said[1]
    if table is not None:
        yield table


def _split(text: str) -> Iterator[str]:
    for line in io.StringIO(text, newline="\n"):
        yield line.removesuffix("\n")


def _value(match: re.Match[str]) -> object:
    if (text := match["text"]) is not None:
        return text[1:-1]
    if (flag := match["flag"]) is not None:
        return flag == "true"
    return [member[1:-1] for member in _MEMBER.findall(match["list"])]
