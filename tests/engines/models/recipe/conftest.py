"""Leaves the tests that need the recipe's own environment out, and says so, unless they are asked for.

A file with the marker `recipe` imports torch, sentencepiece, scipy, jiwer, espeak-ng or flite, none of which Patchbay
needs to run or to be tested. `make recipe-test` runs them (`pytest -m recipe`); any other run counts them at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_LEFT_OUT: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "recipe: needs the recipe extra and the synthesisers; make recipe-test runs them"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not collection_path.name.startswith("test_") or config.option.markexpr.strip() == "recipe":
        return None
    if "pytest.mark.recipe" not in collection_path.read_text(encoding="utf-8"):
        return None
    _LEFT_OUT.add(str(collection_path))
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _LEFT_OUT:
        terminalreporter.write_line(f"{len(_LEFT_OUT)} test files of the model's recipe left out: make recipe-test")
