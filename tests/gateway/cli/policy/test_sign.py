"""`patchbay policy keygen` and `sign`: a key that others cannot read, and a signature under exactly these bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from gateway.residency.bundle_folder import read_folder
from gateway.residency.signatures import public_key_of, verified_by
from policies.residency.bundles.bundle import files_digest
from tests.harness.residency_bundle import residency_files
from tests.harness.residency_folder import written

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def policy(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["policy", *words])


def test_a_key_is_made_once_and_its_private_half_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert policy("keygen", "ada", "--directory", str(tmp_path)).exit_code == ExitCode.ok
    assert (tmp_path / "ada.key").stat().st_mode & 0o777 == 0o600
    assert policy("keygen", "ada", "--directory", str(tmp_path)).exit_code == ExitCode.usage


def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    assert policy("keygen", "../ada", "--directory", str(tmp_path)).exit_code == ExitCode.usage


def test_a_signature_lies_in_the_bundle_and_leaves_its_digest_as_it_was(tmp_path: Path) -> None:
    policy("keygen", "ada", "--directory", str(tmp_path))
    folder = written(tmp_path / "bundle", residency_files())
    digest = files_digest(read_folder(folder))
    said = policy("sign", str(folder), "--key", str(tmp_path / "ada.key"), "--as", "ada")
    assert (said.exit_code, digest in said.stdout) == (ExitCode.ok, True)
    files = read_folder(folder)
    approvers = {"ada": public_key_of((tmp_path / "ada.pub").read_bytes())}
    assert verified_by(files, digest, approvers).by == ("ada",)
    assert files_digest(files) == digest


def test_nobody_signs_with_a_key_that_others_may_read_nor_what_is_no_bundle(tmp_path: Path) -> None:
    policy("keygen", "ada", "--directory", str(tmp_path))
    folder = written(tmp_path / "bundle", residency_files())
    key = tmp_path / "ada.key"
    key.chmod(0o644)
    assert policy("sign", str(folder), "--key", str(key), "--as", "ada").exit_code == ExitCode.usage
    key.chmod(0o600)
    (folder / "bundle.toml").write_text("name = 1")
    assert policy("sign", str(folder), "--key", str(key), "--as", "ada").exit_code == ExitCode.usage
    assert not (folder / "signatures").exists()


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "bundle", residency_files())
    missing = policy("sign", str(folder), "--key", str(tmp_path / "none"), "--as", "ada")
    assert missing.exit_code == ExitCode.no_input
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    other = policy("sign", str(folder), "--key", str(tmp_path / "text"), "--as", "ada")
    assert (other.exit_code, "no private key" in other.stderr) == (ExitCode.usage, True)
