"""`patchbay policy verify`: says what a gateway in production would say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from tests.harness.residency_bundle import residency_files
from tests.harness.residency_folder import Approvers, written

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

ALWAYS = {"issued_at": "2020-01-01T00:00:00Z", "expires_at": "2100-01-01T00:00:00Z"}


def verify(folder: Path, keys: Path, *options: str) -> Result:
    words = ["policy", "verify", str(folder), "--approvers", str(keys), *options]
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, words)


def test_enough_signatures_and_good_dates_are_taken(tmp_path: Path) -> None:
    approvers = Approvers("ada", "grace")
    folder = written(tmp_path / "bundle", approvers.signed(residency_files(**ALWAYS)))
    said = verify(folder, approvers.keys_in(tmp_path / "keys"))
    assert said.exit_code == ExitCode.ok
    assert "approved by ada, grace" in said.stdout
    assert "until 2100-01-01T00:00:00Z" in said.stdout


def test_too_few_a_changed_byte_and_a_passed_date_are_not(tmp_path: Path) -> None:
    approvers = Approvers("ada", "grace")
    keys = approvers.keys_in(tmp_path / "keys")
    one = written(tmp_path / "one", approvers.signed(residency_files(**ALWAYS), by=("ada",)))
    changed = written(tmp_path / "changed", approvers.signed(residency_files(**ALWAYS)))
    (changed / "projects.toml").write_bytes((changed / "projects.toml").read_bytes() + b"\n")
    past = residency_files(issued_at="2020-01-01T00:00:00Z", expires_at="2021-01-01T00:00:00Z")
    over = written(tmp_path / "over", approvers.signed(past))
    for folder, said_so in [(one, "approved by ada"), (changed, "approved by nobody"), (over, "expired since 2021")]:
        said = verify(folder, keys)
        assert (said.exit_code, said_so in said.stdout) == (ExitCode.differs, True)
    assert verify(one, keys, "--required", "1").exit_code == ExitCode.ok


def test_json_says_the_same(tmp_path: Path) -> None:
    approvers = Approvers("ada", "grace")
    folder = written(tmp_path / "bundle", approvers.signed(residency_files(**ALWAYS), by=("ada",)))
    said = verify(folder, approvers.keys_in(tmp_path / "keys"), "--json")
    tree = json.loads(said.stdout)
    assert (tree["approved_by"], tree["required"], tree["expires_at"]) == (["ada"], 2, "")
    assert tree["mistakes"]


def test_a_folder_without_keys_is_no_answer(tmp_path: Path) -> None:
    folder = written(tmp_path / "bundle", residency_files())
    assert verify(folder, tmp_path / "nowhere").exit_code == ExitCode.no_input


def test_a_file_that_is_none_of_a_bundle_is_told(tmp_path: Path) -> None:
    approvers = Approvers("ada")
    folder = written(tmp_path / "b", residency_files())
    (folder / "regions - Copy.toml").write_bytes(b"")
    result = verify(folder, approvers.keys_in(tmp_path / "keys"))
    assert result.exit_code == ExitCode.usage
    assert "is no plain path" in result.stderr
