"""`patchbay policy test`: scenario tables, asked; what differs, and what they leave out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from tests.harness.residency_bundle import residency_files
from tests.harness.starter_set import STARTER

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

ROW = (
    "  - {{name: {}, profile: eea, subject: [DE], action: process, region: {}, expect: allow, rule: P02-eea-in-eea}}\n"
)
GOOD, BAD = ROW.format("good", "no-east-1"), ROW.format("bad", "us-east-1")


def ask(folder: Path, *options: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "test", str(folder), *options])


def written(folder: Path, scenarios: str) -> Path:
    table = f"at: 2026-06-01T12:00:00Z\nscenarios:\n{scenarios}".encode()
    for path, data in residency_files(more_files=[("scenarios/a.yaml", table)]).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def test_the_starter_set_passes_its_tables_and_leaves_nothing_out() -> None:
    said = ask(STARTER, "--strict")
    assert said.exit_code == ExitCode.ok
    assert said.stdout.endswith("checks: all as expected\n")
    assert "Left out" not in said.stdout


def test_a_decision_that_differs_is_told_with_its_place_and_ends_with_1(tmp_path: Path) -> None:
    said = ask(written(tmp_path, GOOD + BAD))
    assert said.exit_code == ExitCode.differs
    assert "scenarios/a.yaml line 4" in said.stdout
    assert "process in us-east-1" in said.stdout
    assert "expected allow, got deny by no rule" in said.stdout
    assert "2 scenarios, 2 checks: 1 NOT as expected" in said.stdout


def test_rules_that_no_scenario_decides_are_told_and_count_where_asked_to(tmp_path: Path) -> None:
    folder = written(tmp_path, GOOD)
    said = ask(folder)
    assert said.exit_code == ExitCode.ok
    assert "rules that decide no scenario" in said.stdout
    assert "F01-embargo" in said.stdout
    assert ask(folder, "--strict").exit_code == ExitCode.differs


def test_one_may_ask_of_some_alone_and_see_all(tmp_path: Path) -> None:
    said = ask(written(tmp_path, GOOD + BAD), "--only", "good", "--all")
    assert said.exit_code == ExitCode.ok
    assert "ok" in said.stdout
    assert "bad" not in said.stdout


def test_no_scenario_at_all_is_no_success(tmp_path: Path) -> None:
    assert ask(written(tmp_path, GOOD), "--only", "nothing like it").exit_code == ExitCode.differs


def test_json_has_every_check_and_the_coverage(tmp_path: Path) -> None:
    said = json.loads(ask(written(tmp_path, GOOD + BAD), "--json").stdout)
    assert (said["scenarios"], said["checks"], said["failed"]) == (2, 2, 1)
    good, bad = said["outcomes"]
    assert good["decision"] == "Allow"
    assert good["rules"] == ["P02-eea-in-eea"]
    assert bad["problem"] == "expected allow, got deny by no rule"
    assert said["coverage"]["checks_by_rule"]["P02-eea-in-eea"] == 1
