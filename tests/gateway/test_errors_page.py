"""The page of errors says what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Reason
from gateway.errors_page import page

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_page_in_the_repository_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_reason_stands_on_the_page_once() -> None:
    text = page()
    assert [reason for reason in Reason if text.count(f"| `{reason.value}` |") != 1] == []
