"""The `patchbay` command: it explains itself, and a wrong command line is 64 as every other wrong thing is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app, main
from tests.harness.region import PATCHBAY, environment_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

COMMANDS = [
    ["up"],
    ["token"],
    ["transcribe"],
    ["config"],
    ["config", "check"],
    ["config", "show"],
    ["config", "schema"],
    ["models"],
    ["models", "list"],
    ["models", "check"],
    ["models", "load"],
    ["models", "unload"],
    ["models", "share"],
]


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    outcome = CliRunner().invoke(app, [*command, "--help"])
    assert outcome.exit_code == 0
    assert "Usage:" in outcome.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["up", "--no-such-option"],
        ["up", "--port", "soon"],
        ["up", "--engines", "0"],
        ["token", "--ttl"],
        ["transcribe"],
        ["config", "no-such-command"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_64(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["patchbay", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 64
    err = capsys.readouterr().err
    assert "Error" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_leaves_no_stack(tmp_path: Path) -> None:
    with subprocess.Popen(
        [str(PATCHBAY), "config", "schema"],
        env=environment_of(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode != 0
    assert err == b""
