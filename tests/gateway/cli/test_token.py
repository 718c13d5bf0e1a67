"""`patchbay token`: a token of this machine's key, or one sentence that says why not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import MAX_TTL_S, create_or_load

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments], env={"XDG_STATE_HOME": str(home)})


def claims_of(home: Path, *arguments: str) -> dict[str, Any]:
    """What the printed token says; its signature is that of the key in the state folder."""
    outcome = run(home, *arguments)
    assert outcome.exit_code == 0, outcome.output
    text = outcome.stdout.strip()
    (key,) = create_or_load(home / "patchbay").jwks()["keys"]
    return jwt.decode(text, jwt.PyJWK(key), algorithms=["EdDSA"], audience="patchbay")


def test_the_defaults_may_stream_for_an_hour(tmp_path: Path) -> None:
    claims = claims_of(tmp_path)
    assert (claims["tenant"], claims["scope"], claims["sub"]) == ("dev", "speech:stream", "developer")
    assert claims["exp"] - claims["iat"] == 3_600
    assert abs(claims["iat"] - time.time()) < 10


def test_a_token_says_what_was_asked_for(tmp_path: Path) -> None:
    claims = claims_of(
        tmp_path, "--tenant", "acme", "--project", "calls", "--ttl", "60", "--scope", "a:b", "--scope", "c:d"
    )
    assert (claims["tenant"], claims["project"], claims["scope"]) == ("acme", "calls", "a:b c:d")
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_can_name_itself_its_key_and_its_plan(tmp_path: Path) -> None:
    claims = claims_of(tmp_path, "--jti", "token-7", "--subject", "service-7", "--plan", "gold")
    assert (claims["jti"], claims["sub"], claims["plan"]) == ("token-7", "service-7", "gold")


def test_nothing_but_the_token_is_printed(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    assert (outcome.stdout.count("\n"), outcome.stdout.count("."), outcome.stderr) == (1, 2, "")


@pytest.mark.parametrize("ttl", ["0", "-1", str(MAX_TTL_S + 1)])
def test_a_lifetime_that_cannot_be_is_64(tmp_path: Path, ttl: str) -> None:
    outcome = run(tmp_path, "--ttl", ttl)
    assert outcome.exit_code == 64
    assert outcome.stderr.startswith("ttl_s must be 1 to ")


def test_a_key_that_others_may_read_is_64_with_the_remedy(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "patchbay" / "dev-key.pem").chmod(0o644)
    outcome = run(tmp_path)
    assert outcome.exit_code == 64
    assert "chmod 600" in outcome.stderr
    assert outcome.stdout == ""


def test_a_state_folder_that_cannot_be_made_is_70(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    outcome = run(tmp_path / "state")
    assert outcome.exit_code == 70
    assert "cannot keep the development key" in outcome.stderr


def test_a_link_needs_a_region_that_runs(tmp_path: Path) -> None:
    outcome = run(tmp_path, "--link")
    assert (outcome.exit_code, outcome.stdout) == (ExitCode.unavailable, "")
    assert "patchbay up" in outcome.stderr
