"""projects.toml line by line, as long as its lines are plain: twenty thousand projects in a fraction of a second.

A file that has one line of another kind, or one key twice, is left to the TOML reader as a whole: it reads all that
TOML has, and knows what to say about mistakes. What is read here is exactly what it would read; the tests compare them.
"""

from __future__ import annotations

import re

_HEAD = "[[projects]]"
_TEXT = r'"[^"\\\x00-\x1f\x7f]*"'
_LIST = rf"\[[ \t]*(?P<list>(?:{_TEXT}(?:,[ \t]*{_TEXT})*)?)[ \t]*\]"
_LINE = re.compile(rf"(?P<key>[A-Za-z0-9_-]+)[ \t]*=[ \t]*(?:(?P<text>{_TEXT})|(?P<flag>true|false)|{_LIST})[ \t]*")
_MEMBER = re.compile(_TEXT)
_COMMENT = re.compile(r"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?")
_MAX_LINES_KNOWN = 50_000


def read_plainly(text: str) -> list[dict[str, object]] | None:
    """The tables of `[[projects]]`; None: not all lines are plain."""
    found: list[dict[str, object]] = []
    known: dict[str, tuple[str, object] | None] = {}  # most lines are seen many times
    for line in text.split("\n"):
        if line == _HEAD:
            found.append({})
            continue
        if line not in known:
            if len(known) > _MAX_LINES_KNOWN:
                known.clear()
            if (match := _LINE.fullmatch(line)) is not None:
                known[line] = match["key"], _value(match)
            elif _COMMENT.fullmatch(line) is not None:
                known[line] = None
            else:
                return None
        said = known[line]
        if said is None:
            continue
        if not found or said[0] in found[-1]:
            return None
        found[-1][said[0]] = said[1]
    return found


def _value(match: re.Match[str]) -> object:
    if (text := match["text"]) is not None:
        return text[1:-1]
    if (flag := match["flag"]) is not None:
        return flag == "true"
    return [member[1:-1] for member in _MEMBER.findall(match["list"])]
