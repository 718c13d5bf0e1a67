"""`patchbay policy simulate`: who has nowhere to go, and an exit code that says whether there is somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from tests.gateway.cli.test_capacity import CATALOG
from tests.harness.policy_bundles import written
from tests.harness.residency_bundle import residency_files

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

NOW = ("--now", "2026-06-01")


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(written(residency_files(), tmp_path / "bundle"))


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", "simulate", *arguments])


def test_a_lost_region_tells_who_has_nowhere_to_go(bundle: str) -> None:
    result = run(bundle, *NOW, "--lose", "no-east-1")
    assert result.exit_code == 1
    assert "1 (acme/one-region) would have NOWHERE TO GO." in result.stdout
    assert "one region left: 1 (acme/no-aws)" in result.stdout


def test_a_lost_region_that_nobody_needs_alone_is_0(bundle: str) -> None:
    result = run(bundle, *NOW, "--lose", "eu-west-1", "--all")
    assert result.exit_code == 0
    assert "Everybody who has somewhere to go has somewhere to go then." in result.stdout
    assert "as before" in result.stdout


def test_a_day_tells_what_ends_until_then(bundle: str) -> None:
    told = json.loads(run(bundle, *NOW, "--at", "2026-10-02", "--json").stdout)
    assert told["changes"] == [{"at": "2026-10-01T00:00:00Z", "what": "date in rule F08-us-sunset"}]
    (world, *_) = [each for each in told["callers"] if each["names"] == ["global"]]
    assert set(world["before"]["process"]) - set(world["after"]["process"]) == {"us-east-1", "us-west-1"}
    assert told["nowhere"] == []


def test_regions_without_engines_are_taken_from_the_catalog(bundle: str, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.replace("eu-west", "eu-west-1"), encoding="utf-8")
    told = json.loads(run(bundle, *NOW, "--catalog", str(catalog), "--json").stdout)
    (strict, *_) = [each for each in told["callers"] if "eu-strict" in each["names"]]
    assert strict["before"]["process"] == ["eu-west-1"]


def test_wrong_words_are_told(bundle: str, tmp_path: Path) -> None:
    assert run(bundle, "--lose", "atlantis").exit_code == 66
    assert run(bundle, "--catalog", str(tmp_path / "none.toml")).exit_code == 64
    assert run(bundle, "--at", "soon").exit_code == 64
