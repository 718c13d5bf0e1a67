"""`patchbay policy lint`: findings for people and for programs; errors end with 1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from tests.harness.starter_set import STARTER, starter_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def lint(folder: Path, *options: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "lint", str(folder), *options])


def test_the_starter_set_has_only_notes() -> None:
    said = lint(STARTER, "--at", "2026-12-01", "--strict")
    assert said.exit_code == ExitCode.ok
    assert "0 errors, 0 warnings, 4 notes" in said.stdout


def test_what_ends_soon_is_a_warning_which_counts_where_it_is_asked_to() -> None:
    at = ("--at", "2027-06-01")
    assert lint(STARTER, *at).exit_code == ExitCode.ok
    said = lint(STARTER, *at, "--strict", "--json")
    assert said.exit_code == ExitCode.differs
    (dpf,) = [each for each in json.loads(said.stdout)["findings"] if "EU-DPF US (dpf)" in each["place"]]
    assert dpf["severity"] == "warning"
    assert dpf["check"] == "row-expires"
    assert "2027-07-10T00:00:00Z, within 90 days" in dpf["sentence"]


def test_an_error_ends_with_1(tmp_path: Path) -> None:
    for path, data in starter_files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    rules = (tmp_path / "rules/operations.cedar").read_text()
    (tmp_path / "rules/operations.cedar").write_text(
        rules.replace('@kind("operational")', '@kind("statutory")').replace(
            "when { context.isDraining", "when { !context.hasBreakGlass && context.isDraining"
        )
    )
    said = lint(tmp_path, "--at", "2026-12-01")
    assert said.exit_code == ExitCode.differs
    assert "statutory-reads-break-glass" in said.stdout
    assert "F02-no-new-sessions-while-draining" in said.stdout


def test_an_instant_that_is_none_is_a_mistake_of_usage() -> None:
    assert lint(STARTER, "--at", "soon").exit_code == ExitCode.usage
