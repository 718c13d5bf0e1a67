from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from gateway.decision_log.signing import load_public_keys, load_signer

RUNNER = CliRunner()


def test_a_pair_is_made_and_never_written_over(tmp_path: Path) -> None:
    out = tmp_path / "key.pem"
    made = RUNNER.invoke(app, ["audit", "keygen", "--out", str(out), "--json"])
    assert made.exit_code == ExitCode.ok
    key_id = json.loads(made.stdout)["key_id"]
    assert load_signer(out).key_id == key_id
    assert list(load_public_keys([tmp_path / "key.pem.pub"])) == [key_id]
    assert RUNNER.invoke(app, ["audit", "keygen", "--out", str(out)]).exit_code == ExitCode.usage
    assert RUNNER.invoke(app, ["audit", "keygen", "--out", str(tmp_path / "a" / "b")]).exit_code == ExitCode.no_input
    second = RUNNER.invoke(app, ["audit", "keygen", "--out", str(tmp_path / "second.pem")])
    assert "second.pem.pub: the public half" in second.stdout
