"""The file of variables that `lab up --env` writes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from gateway.cli.lab_env import write_lab_env

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

READY = {
    "regions": {
        "west": {
            "websockets": ["ws://w/v1/stream"],
            "admin": ["http://w:1", "http://w:2"],
            "processes": {"a": 7, "b": 8},
        },
        "east": {"websockets": ["ws://e/v1/stream"], "admin": ["http://e:1"], "processes": {}},
    },
    "token": "it's a 'token' $HOME",
    "operator_tokens": {"ada": "first", "grace": "second"},
}
WEBTRANSPORT = {"webtransports": ["https://w:1/v1/stream"], "webtransport_certificate_sha256": "5a76"}


def test_a_shell_reads_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "lab.env"
    write_lab_env(file, READY)
    names = ("PATCHBAY_URL", "PATCHBAY_TOKEN", "PATCHBAY_OPERATOR_TOKEN", "EAST_ADMIN", "WEST_PIDS", "GRACE_TOKEN")
    asked = '. "$1"; printf "%s|" ' + " ".join(f'"${name}"' for name in names)
    told = subprocess.run(["sh", "-c", asked, "sh", str(file)], capture_output=True, text=True, check=True).stdout
    assert told.split("|")[:-1] == [
        "ws://w/v1/stream",
        "it's a 'token' $HOME",
        "first",
        "http://e:1",
        "7 8",
        "second",
    ]


def test_nobody_else_may_read_it_even_where_it_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / "lab.env"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    write_lab_env(file, READY)
    assert file.stat().st_mode & 0o777 == 0o600


def test_webtransport_is_in_it_where_a_region_has_it(tmp_path: Path) -> None:
    file = tmp_path / "lab.env"
    write_lab_env(file, READY)
    assert "WEBTRANSPORT" not in file.read_text(encoding="utf-8")
    regions = READY["regions"]
    assert isinstance(regions, dict)
    write_lab_env(file, READY | {"regions": {"west": regions["west"] | WEBTRANSPORT}})
    lines = file.read_text(encoding="utf-8").splitlines()
    assert "export WEST_WEBTRANSPORT=https://w:1/v1/stream" in lines
    assert "export WEST_CERTIFICATE_SHA256=5a76" in lines
