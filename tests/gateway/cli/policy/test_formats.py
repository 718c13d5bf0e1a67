"""Reports leave nothing to whoever wrote a name in them: no markup, no script, no formula."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.policy.document import Document, Heading, Paragraph, Table, Verbatim
from gateway.cli.policy.formats import Format, csv_text, give, html_page, markdown
from policies.residency.visible_text import hidden_in_file, visible

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

NASTY = '<script>alert("1")</script> | *a* `b` [c](https://x.example)'
DOCUMENT = Document(
    NASTY, (Heading(NASTY), Paragraph(NASTY), Table(("who", "what"), ((NASTY, "a\nb"),)), Verbatim("```\n<b>"))
)


def test_html_is_one_page_that_asks_nobody_and_runs_nothing() -> None:
    page = html_page(DOCUMENT)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=", page.replace("default-src", ""))
    assert "<td>a<br>b</td>" in page


def test_markdown_cells_stay_in_their_cells() -> None:
    text = markdown(DOCUMENT)
    (row,) = [line for line in text.splitlines() if line.endswith("a<br>b |")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "<script" not in text.replace("\\<", "")
    assert "````\n```\n<b>\n````" in text


@given(st.text())
def test_no_cell_of_csv_begins_like_a_formula(cell: str) -> None:
    text = csv_text(Table(("name",), ((cell,),)))
    _, (read,) = csv.reader(io.StringIO(text, newline=""))
    assert not read.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert read in (visible(cell), f"'{visible(cell)}")


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
def test_wide_signs_are_those_of_formulas_too(sign: str) -> None:
    assert csv_text(Table(("name",), ((f"{sign}1",),))).splitlines()[1].startswith("'")


def test_what_nobody_sees_is_written_out_in_every_format(tmp_path: Path) -> None:
    hidden = "a\x1b[31m\u202eb"
    document = Document(hidden, (Heading(hidden), Paragraph(hidden), Table((hidden,), ((hidden,),)), Verbatim(hidden)))
    for form in Format:
        form.write(document, tmp_path / "report")
        text = (tmp_path / "report").read_text(encoding="utf-8")
        assert "<U+202E>" in text.replace("&lt;", "<").replace("&gt;", ">").replace("\\", "")
        assert not hidden_in_file(text.replace("\r", ""))


@pytest.mark.parametrize("form", list(Format))
def test_every_format_goes_to_a_file(form: Format, tmp_path: Path) -> None:
    form.write(Document("t", (Table(("who",), (("acme",),)),)), tmp_path / "report")
    assert "acme" in (tmp_path / "report").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_64(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match="64"):
        give("text", tmp_path / "no" / "folder")
    assert "cannot write" in capsys.readouterr().err
