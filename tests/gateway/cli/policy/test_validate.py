"""`patchbay policy validate`: a good bundle in a sentence, a bad one with every mistake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from tests.harness.starter_set import STARTER, starter_bundle, starter_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def validate(folder: Path, *options: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "validate", str(folder), *options])


def written(folder: Path, **changes: bytes) -> Path:
    """The starter set with files changed; dots of names are underscores, and folders are not named."""
    for path, data in starter_files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(changes.get(target.name.replace(".", "_"), data))
    return folder


def test_the_starter_set_is_good() -> None:
    said = validate(STARTER)
    assert said.exit_code == ExitCode.ok
    assert said.stdout.startswith("the bundle is good: starter 2026-11-27.1, 42 rules, 11 profiles, 17 projects, ")
    assert f"digest {starter_bundle().digest}" in said.stdout


def test_json_says_the_same() -> None:
    said = json.loads(validate(STARTER, "--json").stdout)
    assert (said["name"], said["version"], said["rules"], said["mistakes"]) == ("starter", "2026-11-27.1", 42, [])
    assert said["digest"] == starter_bundle().digest
    assert said["expires_at"] == "2027-11-27T00:00:00Z"


def test_every_mistake_of_a_bundle_is_told(tmp_path: Path) -> None:
    rules = starter_files()["rules/operations.cedar"].replace(b'Trigger::"initial"', b'Trigger::"intial"')
    rows = starter_files()["projects.toml"].replace(b'profile = "swiss"', b'profile = "swizz"')
    said = validate(written(tmp_path, operations_cedar=rules, projects_toml=rows))
    assert said.exit_code == ExitCode.usage
    assert "F02-no-new-sessions-while-draining" in said.stderr
    assert "swizz" in said.stderr


def test_mistakes_of_scenario_tables_are_told_with_their_lines(tmp_path: Path) -> None:
    table = starter_files()["scenarios/time.yaml"].replace(b"rule: P04-eu-adequacy-dpf", b"rule: P04-eu-adequacy", 1)
    folder = written(tmp_path, time_yaml=table)
    said = validate(folder)
    assert said.exit_code == ExitCode.usage
    assert "scenarios/time.yaml line 13: there is no rule 'P04-eu-adequacy' in rules/" in said.stderr
    assert json.loads(validate(folder, "--json").stdout)["mistakes"]


def test_a_folder_that_is_not_there_is_no_input(tmp_path: Path) -> None:
    assert validate(tmp_path / "nothing").exit_code == ExitCode.no_input
