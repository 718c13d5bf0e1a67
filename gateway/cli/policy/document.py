"""A report about a policy, before anybody knows whether it goes to a terminal, to Markdown, to HTML or to a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table as ShownTable

from policies.residency.visible_text import visible

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Lines that stay as they are: a rule's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """`rows`: each as long as `columns`. A column without a name has no head."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    blocks: tuple[Heading | Paragraph | Verbatim | Table, ...]


def show(document: Document, console: Console) -> None:
    """Print it for people. Nothing that somebody wrote is taken for markup or moves the cursor."""
    _say(console, document.title, style="bold")
    for block in document.blocks:
        match block:
            case Heading(text):
                _say(console, "")
                _say(console, text, style="bold")
            case Paragraph(text):
                _say(console, text)
            case Verbatim(text):
                for line in text.splitlines():
                    _say(console, f"    {line}", style="dim")
            case Table():
                _show_table(block, console)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(visible(text), soft_wrap=not console.is_terminal, markup=False, highlight=False, style=style or None)


def _show_table(table: Table, console: Console) -> None:
    shown = ShownTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(table.columns))
    for name in table.columns:
        shown.add_column(_plain(name), overflow="fold")
    for row in table.rows:
        shown.add_row(*(_plain(cell) for cell in row))
    console.print(shown, highlight=False)


def _plain(text: str) -> str:
    return visible(text).replace("[", "\\[")
