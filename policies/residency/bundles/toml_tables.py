"""TOML tables read with care: each key once, of one type; what is wrong, missing or unknown is told with its place."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from policies.residency.bundles.instants import seconds_of_toml
from policies.residency.visible_text import hidden_in_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.residency.bundles.mistakes import Mistakes

MAX_TEXT = 2_000
MAX_LIST = 1_000
_Word = TypeVar("_Word", bound=StrEnum)


def document(text: str, path: str, mistakes: Mistakes) -> dict[str, object] | None:
    """The document; None, told, where it is no TOML."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        mistakes.add(path, "is nested too deeply")
    except (ValueError, OverflowError) as error:  # also what Python says of dates that do not exist and of huge numbers
        mistakes.add(path, f"is no TOML: {error}{_advice(str(error), text)}")
    return None


def _advice(said: str, text: str) -> str:
    """What it means in a list of rows, for people who write no TOML otherwise."""
    if "immutable namespace" in said and re.search(r"^rows[ \t]*=", text, re.MULTILINE):
        return (
            "; this file has its rows as `rows = [ … ]`: write the new one as a line like the others, before the last ]"
        )
    if "Invalid date" in said:
        return "; there is no such day, or it is not written like 2026-01-31T00:00:00Z"
    if any(quote in text for quote in "“”„"):
        return '; texts stand between straight quotes, ", and not between “ and ”'
    return ""


def tables(document: Mapping[str, object], name: str, path: str, most: int, mistakes: Mistakes) -> list[object]:
    """The list of tables of that name, the only thing that the document may have."""
    for key in document:
        if key != name:
            mistakes.add(path, f"unknown key {key[:80]!r}; it is a list of [[{name}]]")
    found = document.get(name, [])
    if not isinstance(found, list):
        mistakes.add(path, f"`{name}` is no list of [[{name}]]")
        return []
    if len(found) > most:
        mistakes.add(path, f"has {len(found)} [[{name}]], more than {most}")
        return []
    return found


class TableReader:
    """One table. A value that is wrong is told and comes as an empty one: ask `is_sound` before using what was read."""

    def __init__(self, table: object, where: str, mistakes: Mistakes) -> None:
        self._where = where
        self._mistakes = mistakes
        self._count_before = mistakes.count
        self._left: dict[str, object] = {}
        if isinstance(table, dict):
            self._left = dict(table)
        else:
            self.tell("is no table")

    @property
    def where(self) -> str:
        return self._where

    @property
    def is_sound(self) -> bool:
        return self._mistakes.count == self._count_before

    def tell(self, what: str) -> None:
        self._mistakes.add(self._where, what)

    def done(self) -> bool:
        """Tell what nobody asked for; whether all was in order."""
        for key in self._left:
            self.tell(f"unknown key {key[:80]!r}")
        return self.is_sound

    def has(self, key: str) -> bool:
        return key in self._left

    def text(self, key: str, shape: re.Pattern[str] | None = None, like: str = "") -> str:
        """A text that is there and not empty, without control characters; `like`: an example for the message."""
        value = self._take(key)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.tell(f"`{key}` is no text")
        elif len(value) > MAX_TEXT:
            self.tell(f"`{key}` is longer than {MAX_TEXT} characters")
        elif hidden_in_line(value):
            self.tell(f"`{key}` has control characters, line breaks or others that nobody sees")
        elif shape is not None and shape.fullmatch(value) is None:
            self.tell(f"`{key}` is {value[:80]!r}; it is written like {like}")
        else:
            return value
        return ""

    def optional_text(self, key: str, shape: re.Pattern[str] | None = None, like: str = "") -> str:
        """The same, empty where the key is not there."""
        return self.text(key, shape, like) if key in self._left else ""

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """`default`: None, it must be there."""
        if default is not None and key not in self._left:
            return default
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.tell(f"`{key}` is neither true nor false")
        return False

    def count(self, key: str, *, most: int) -> int:
        """From 0 to `most`."""
        value = self._take(key)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            self.tell(f"`{key}` is no whole number from 0 to {most}")
            return 0
        return value

    def instant(self, key: str) -> int:
        """Unix seconds of a date and time with an offset."""
        value = self._take(key)
        if value is None:
            return 0
        try:
            return seconds_of_toml(value)
        except (ValueError, OverflowError) as error:
            self.tell(f"`{key}` {error}")
            return 0

    def texts(self, key: str) -> frozenset[str]:
        """A list of texts, each once; empty where the key is not there."""
        if key not in self._left:
            return frozenset()
        value = self._take(key)
        if not isinstance(value, list) or len(value) > MAX_LIST:
            self.tell(f"`{key}` is no list of at most {MAX_LIST} texts")
            return frozenset()
        found = set()
        for member in value:
            if not isinstance(member, str) or not member or len(member) > MAX_TEXT or hidden_in_line(member):
                self.tell(f"`{key}` has a member that is no text")
            elif member in found:
                self.tell(f"`{key}` has {member[:80]!r} twice")
            else:
                found.add(member)
        return frozenset(found)

    def word(self, key: str, words: type[_Word]) -> _Word | None:
        """One of a closed vocabulary; None where the key is not there."""
        text = self.optional_text(key)
        if not text:
            return None
        try:
            return words(text)
        except ValueError:
            self.tell(f"`{key}` is {text[:80]!r}; it is one of {', '.join(words)}")
            return None

    def table(self, key: str) -> TableReader:
        """A table within; where it is none, that is told and an empty one comes."""
        value = self._take(key)
        if not isinstance(value, dict):
            self.tell(f"`{key}` is no table")
            value = {}
        return TableReader(value, f"{self._where}: `{key}`", self._mistakes)

    def _take(self, key: str) -> object:
        if key not in self._left:
            self.tell(f"`{key}` is missing")
            return None
        return self._left.pop(key)
