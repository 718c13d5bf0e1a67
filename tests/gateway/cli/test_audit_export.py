from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from tests.harness.decision_logs import made_log

RUNNER = CliRunner()


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    directory.mkdir()
    for name, content in made_log().items():
        (directory / name).write_bytes(content)
    return directory


def run(log: Path, *arguments: str | Path) -> tuple[int, str]:
    result = RUNNER.invoke(app, ["audit", "export", str(log), *map(str, arguments)])
    return result.exit_code, result.output


def test_records_are_chosen_by_session_tenant_and_time(log: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    for arguments, num_rows in (
        (("--session", "session-3"), 16),
        (("--tenant", "acme"), 40),
        (("--tenant", "acme/dictation"), 40),
        (("--tenant", "acme", "--session", "session-3"), 8),
        (("--between", "2026-09-21T14:13:20Z", "2026-09-22"), 86),
        (("--between", "2026-09-21T14:13:20.010", "2026-09-21T14:13:20.020+00:00"), 20),
    ):
        assert run(log, *arguments, "--format", "csv", "--out", table)[0] == ExitCode.ok
        assert len(list(csv.DictReader(table.read_text().splitlines()))) == num_rows, arguments


def test_without_a_file_it_goes_to_standard_output(log: Path) -> None:
    code, said = run(log, "--session", "session-3")
    assert (code, said.count('"record":')) == (ExitCode.ok, 16)
    code, said = run(log, "--session", "session-3", "--format", "csv")
    assert (code, said.count("session-3")) == (ExitCode.ok, 16)


def test_who_says_nothing_or_nonsense_is_told(log: Path, tmp_path: Path) -> None:
    assert run(log)[0] == ExitCode.usage
    assert run(log, "--between", "yesterday", "today")[0] == ExitCode.usage
    assert run(log, "--session", "nobody")[0] == ExitCode.no_input
    assert run(tmp_path / "missing", "--session", "x")[0] == ExitCode.no_input
