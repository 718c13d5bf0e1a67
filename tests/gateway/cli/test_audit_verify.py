from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from tests.harness.decision_logs import made_log, signing_keys

RUNNER = CliRunner()
NAME = "eu-1.00000000000000aa.000001.jsonl"


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    directory.mkdir()
    for name, content in made_log().items():
        (directory / name).write_bytes(content)
    (tmp_path / "key.pub").write_bytes(signing_keys().signer.public_pem)
    return directory


def run(*arguments: str | Path) -> tuple[int, str]:
    result = RUNNER.invoke(app, ["audit", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_log_that_is_intact_is_told_so_with_its_writers(log: Path, tmp_path: Path) -> None:
    code, said = run("verify", log, "--key", tmp_path / "key.pub")
    assert code == ExitCode.ok
    assert "eu-1/00000000000000aa: closed, 3 files, 43 records to number 42" in said
    assert "intact: 86 records" in said


def test_what_was_changed_is_told_with_its_place_and_the_exit_code_says_so(log: Path, tmp_path: Path) -> None:
    path = log / NAME
    path.write_bytes(path.read_bytes().replace(b'"latency_us":2,', b'"latency_us":7,'))
    code, said = run("verify", log, "--key", tmp_path / "key.pub")
    assert code == ExitCode.differs
    assert f"FOUND {NAME}:4 (record 3): changed" in said
    code, said = run("verify", log, "--key", tmp_path / "key.pub", "--json")
    found = json.loads(said)
    assert (code, found["is_intact"], found["findings"][0]["line"]) == (ExitCode.differs, False, 4)


def test_a_copy_knows_of_files_that_are_gone(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in made_log().items():
        (copy / name).write_bytes(content)
    for path in log.glob("*bb*"):
        path.unlink()
    assert run("verify", log, "--key", tmp_path / "key.pub")[0] == ExitCode.ok, "nobody here saw the second writer"
    code, said = run("verify", log, "--key", tmp_path / "key.pub", "--copy", copy)
    assert (code, "missing_file" in said) == (ExitCode.differs, True)
    assert run("verify", copy, "--key", tmp_path / "key.pub", "--is-copy")[0] == ExitCode.ok


def test_an_export_is_verified_with_a_key_alone(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "export.jsonl"
    code, said = run("export", log, "--session", "session-3", "--out", out)
    assert (code, "16 records" in said) == (ExitCode.ok, True)
    assert run("verify", out)[0] == ExitCode.usage
    code, said = run("verify", out, "--key", tmp_path / "key.pub")
    assert (code, said) == (ExitCode.ok, "intact: 16 records\n")
    out.write_bytes(out.read_bytes().replace(b"dictation", b"something", 1))
    code, said = run("verify", out, "--key", tmp_path / "key.pub", "--json")
    assert (code, json.loads(said)["findings"][0]["line"]) == (ExitCode.differs, 3)
    code, said = run("verify", out, "--key", tmp_path / "key.pub")
    assert (code, "FOUND export.jsonl:3" in said) == (ExitCode.differs, True)


def test_what_cannot_be_read_is_told(log: Path, tmp_path: Path) -> None:
    assert run("verify", tmp_path / "missing", "--key", tmp_path / "key.pub")[0] == ExitCode.no_input
    assert run("verify", log, "--key", tmp_path / "missing")[0] == ExitCode.usage
    (tmp_path / "empty").mkdir()
    assert run("verify", tmp_path / "empty")[0] == ExitCode.no_input
