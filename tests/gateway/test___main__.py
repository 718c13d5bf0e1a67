"""`python -m gateway`: its exit codes, and that wrong settings end it before it touches a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, create_or_load
from gateway.settings import as_environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

CANARY = "canary-canary-canary-canary-canary-canary"


def good(tmp_path: Path) -> dict[str, object]:
    issuer = {
        "issuer": DEV_ISSUER,
        "audience": DEV_AUDIENCE,
        "algorithms": [DEV_ALGORITHM],
        "static_keys": create_or_load(tmp_path).jwks()["keys"],
    }
    return {
        "engines__addresses": [f"unix:{tmp_path}/no-engine.sock"],
        "tokens__issuers": [issuer],
        "http__port": 0,
        "grpc__port": 0,
        "admin__port": 0,
    }


def run(settings: dict[str, object], *arguments: str) -> subprocess.CompletedProcess[str]:
    """To its end, which must come by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PATCHBAY")}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env=environment | as_environment(settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_wrong_settings_are_64_with_every_mistake_on_a_line_and_no_port_is_touched(tmp_path: Path) -> None:
    """A port that is taken would be 69, had it been tried."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = {"http__port": taken.getsockname()[1], "region": "EU 1", "sessions__idle_timeout_ms": 0}
        done = run(good(tmp_path) | wrong, "--json")
    assert done.returncode == 64
    assert [line.split(":")[:2] for line in done.stderr.splitlines()] == [
        ["wrong setting", " region"],
        ["wrong setting", " sessions.idle_timeout_ms"],
    ]
    assert done.stdout == ""


def test_a_secret_in_wrong_settings_is_not_written(tmp_path: Path) -> None:
    secret = {"issuer": "a", "audience": "b", "algorithms": ["HS256"], "shared_secrets": [{"kid": "k"}, CANARY]}
    done = run(good(tmp_path) | {"tokens__issuers": [secret]})
    assert done.returncode == 64
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--config"], ["surplus"], ["--jso"]])
def test_a_wrong_command_line_is_64(tmp_path: Path, arguments: list[str]) -> None:
    done = run(good(tmp_path), *arguments)
    assert done.returncode == 64
    assert "Traceback" not in done.stderr


def test_a_settings_file_that_is_not_there_is_64(tmp_path: Path) -> None:
    done = run(good(tmp_path), "--config", str(tmp_path / "none.toml"))
    assert (done.returncode, done.stderr) == (64, f"wrong setting: {tmp_path}/none.toml: No such file or directory\n")


def test_wrong_plans_are_64_with_every_mistake_on_a_line_and_no_port_is_touched(tmp_path: Path) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text("default_plan = 'none'\n[plans.a]\n[orgs.acme]\nplan = 'b'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(good(tmp_path) | {"http__port": taken.getsockname()[1], "limits__plans_file": str(plans)}, "--json")
    assert done.returncode == 64
    assert done.stderr.splitlines() == [
        "wrong setting: limits.plans_file: default_plan: there is no plan none",
        "wrong setting: limits.plans_file: orgs.acme.plan: there is no plan b",
    ]
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["http", "grpc", "admin"])
def test_a_port_that_is_taken_is_69_with_its_name(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(good(tmp_path) | {f"{name}__port": port}, "--json")
    assert done.returncode == 69
    assert f"cannot listen for {name} on 127.0.0.1:{port}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
