"""A report looks on a terminal as it was written: nothing in it is taken for markup."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gateway.cli.policy.document import Document, Heading, Paragraph, Table, Verbatim, show

pytestmark = pytest.mark.unit

DOCUMENT = Document(
    "A title",
    (
        Paragraph("[red]not red[/]"),
        Heading("Below"),
        Table(("", "who"), (("1", "[bold]acme[/]"),)),
        Verbatim("permit (\n  principal);"),
    ),
)


def test_a_document_is_shown_as_it_is_written() -> None:
    out = io.StringIO()
    show(DOCUMENT, Console(file=out, width=80))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "A title",
        "[red]not red[/]",
        "",
        "Below",
        "   who",
        "1  [bold]acme[/]",
        "    permit (",
        "      principal);",
    ]
