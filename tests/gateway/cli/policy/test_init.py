"""`patchbay policy init`: the starter set as a bundle of one's own, good from the first minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.init import starter_files
from tests.harness import starter_set

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", *arguments])


def test_the_whole_starter_set_is_shipped() -> None:
    assert starter_files() == starter_set.starter_files()


def test_what_it_writes_is_good_and_named_after_its_folder(tmp_path: Path) -> None:
    folder = str(tmp_path / "our-rules")
    assert run("init", folder).exit_code == ExitCode.ok
    said = run("validate", folder)
    assert said.exit_code == ExitCode.ok
    assert "the bundle is good: our-rules " in said.stdout
    assert run("test", folder, "--strict").exit_code == ExitCode.ok


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    assert run("init", str(tmp_path)).exit_code == ExitCode.usage
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_catalog_that_is_not_there_or_wrong_writes_nothing(tmp_path: Path) -> None:
    folder, catalog = tmp_path / "new", tmp_path / "catalog.toml"
    assert run("init", str(folder), "--catalog", str(catalog)).exit_code != ExitCode.ok
    catalog.write_text("[[regions]]\nname = 1\n")
    assert run("init", str(folder), "--catalog", str(catalog)).exit_code == ExitCode.usage
    assert not folder.exists()
