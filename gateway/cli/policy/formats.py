"""Reports as Markdown, as one HTML page that asks nobody for anything, and as CSV that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
import re
import sys
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

from rich.console import Console

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import fail
from gateway.cli.policy.document import Heading, Paragraph, Table, Verbatim, show
from policies.residency.visible_text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.cli.policy.document import Document

_FILE_WIDTH = 160
"""Of tables that do not go to a terminal."""

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&])")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""Beginnings that spreadsheets take for a formula.

Source: OWASP, CSV Injection (https://owasp.org/www-community/attacks/CSV_Injection).
"""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; }
th, td { text-align: left; vertical-align: top; } thead th { border-bottom: 2px solid #222; }
pre { background: #f6f6f6; padding: .6rem; white-space: pre-wrap; } @media print { body { margin: 0; } }
"""


class Format(StrEnum):
    """How a report is written."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    html = "html"

    def write(self, document: Document, out: Path | None) -> None:
        """Give a document to a file or to standard output; of CSV, its longest table."""
        match self:
            case Format.table if out is None:
                width = None if sys.stdout.isatty() else _FILE_WIDTH
                show(document, Console(width=width))
            case Format.table:
                text = io.StringIO()
                show(document, Console(file=text, width=_FILE_WIDTH))
                give(text.getvalue(), out)
            case Format.markdown:
                give(markdown(document), out)
            case Format.html:
                give(html_page(document), out)
            case Format.csv:
                tables = [block for block in document.blocks if isinstance(block, Table)]
                give(csv_text(max(tables, key=lambda table: len(table.rows))), out)


def give(text: str, out: Path | None) -> None:
    """Write it to a file, or print it. It ends the command where that cannot be done."""
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {out}: {error.strerror}", ExitCode.usage)


def markdown(document: Document) -> str:
    parts = [f"# {_in_markdown(document.title)}"]
    for block in document.blocks:
        match block:
            case Heading(text):
                parts.append(f"## {_in_markdown(text)}")
            case Paragraph(text):
                parts.append(_in_markdown(text))
            case Verbatim(text):
                fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
                parts.append(f"{fence}\n{visible(text)}\n{fence}")
            case Table():
                parts.append(_markdown_table(block))
    return "\n\n".join(parts) + "\n"


def html_page(document: Document) -> str:
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{_in_html(document.title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_in_html(document.title)}</h1>",
    ]
    for block in document.blocks:
        match block:
            case Heading(text):
                parts.append(f"<h2>{_in_html(text)}</h2>")
            case Paragraph(text):
                parts.append(f"<p>{_in_html(text)}</p>")
            case Verbatim(text):
                parts.append(f"<pre>{_in_html(text)}</pre>")
            case Table():
                parts.append(_html_table(block))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def csv_text(table: Table) -> str:
    """One table, with its head (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_harmless(name) for name in table.columns)
    writer.writerows([_harmless(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _harmless(cell: str) -> str:
    shown = visible(cell)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _in_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(visible(text).splitlines()))


def _markdown_table(table: Table) -> str:
    lines = [table.columns, ("---",) * len(table.columns)]
    head, rule = (f"| {' | '.join(_in_markdown(cell) for cell in line)} |" for line in lines)
    cells = ("<br>".join(_in_markdown(line) for line in cell.splitlines()) for row in table.rows for cell in row)
    texts = [*cells]
    width = len(table.columns)
    rows = [f"| {' | '.join(texts[at : at + width])} |" for at in range(0, len(texts), width)]
    return "\n".join([head, rule, *rows])


def _in_html(text: str) -> str:
    return escape(visible(text))


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{_in_html(name)}</th>" for name in table.columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{_html_cell(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _html_cell(cell: str) -> str:
    return "<br>".join(_in_html(line) for line in cell.splitlines())
