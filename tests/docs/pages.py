"""The pages of the documentation, read as Markdown: their blocks of code, their links, their tables, their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(
    r"^(?P<marks>(?:<!--[^\n]*-->\n)*)```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_MARK = re.compile(r"<!-- (?P<key>test|prints|needs|not run): (?P<value>.*?) -->")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
_CODE = re.compile(r"`(?P<text>[^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and what the comments before it say: `test` (its surroundings), `prints`, `needs`, `not run`."""

    page: Path
    line: int
    language: str
    code: str
    surroundings: str
    prints: tuple[str, ...]
    needs: tuple[str, ...]
    why_not: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        marks = [(mark["key"], mark["value"]) for mark in _MARK.finditer(found["marks"])]
        yield Block(
            page=page,
            line=text[: found.start("language")].count("\n") + 1,
            language=found["language"],
            code=found["code"],
            surroundings=next((value for key, value in marks if key == "test"), ""),
            prints=tuple(value for key, value in marks if key == "prints"),
            needs=tuple(value for key, value in marks if key == "needs"),
            why_not=next((value for key, value in marks if key == "not run"), ""),
        )


def all_blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return [found["target"] for found in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """Of all headings, as GitHub makes them."""
    found = set()
    for heading in _HEADING.finditer(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"]).lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def code_words(text: str) -> set[str]:
    """Everything between single backticks."""
    return {found["text"] for found in _CODE.finditer(text)}


def section(page: Path, heading: str) -> str:
    """What stands under a heading, to the next one of its level or above. Raises AssertionError without it."""
    text = page.read_text(encoding="utf-8")
    level = heading.split(" ", 1)[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page.name} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row; heads and rules included, which no caller takes for names."""
    cells = re.compile(r"(?<!\\)\|")
    return [
        [cell.strip() for cell in cells.split(line.strip())[1:-1]]
        for line in text.splitlines()
        if line.strip().startswith("|")
    ]


def named_rows(text: str) -> dict[str, list[str]]:
    """Rows whose first cell begins with a name in backticks, by that name."""
    found = {}
    for cells in rows(text):
        name = re.match(r"`([^`]+)`", cells[0])
        if name is not None:
            found[name[1]] = cells
    return found
