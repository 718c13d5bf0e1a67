"""Where a token may be put into a link."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gateway.cli.console_link import NoConsole, console_link
from gateway.running_regions import announce

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def link(state: Path, console: str | None) -> str:
    """Of a region whose supervisor is this process."""
    announce(state, {"pid": os.getpid()} | ({} if console is None else {"console": console}))
    return console_link(state, "a.b.c")


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("http://127.0.0.1:8080/console", "http://127.0.0.1:8080/console#token=a.b.c"),
        ("http://[::1]:8080/console", "http://[::1]:8080/console#token=a.b.c"),
        ("http://localhost:8080/console", "http://localhost:8080/console#token=a.b.c"),
        ("http://0.0.0.0:8080/console", "http://127.0.0.1:8080/console#token=a.b.c"),
        ("http://[::]:8080/console", "http://[::1]:8080/console#token=a.b.c"),
        ("https://eu.example/console", "https://eu.example/console#token=a.b.c"),
    ],
)
def test_the_token_stands_in_the_fragment(tmp_path: Path, console: str, expected: str) -> None:
    assert link(tmp_path, console) == expected


def test_no_token_is_linked_to_a_page_that_comes_in_the_clear_from_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(NoConsole, match="not encrypted"):
        link(tmp_path, "http://10.0.0.7:8080/console")


def test_a_region_without_a_console_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoConsole, match=r"console\.enabled"):
        link(tmp_path, None)


def test_without_a_region_there_is_no_link(tmp_path: Path) -> None:
    with pytest.raises(NoConsole, match="patchbay up"):
        console_link(tmp_path, "a.b.c")
