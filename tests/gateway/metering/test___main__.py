"""The exporter as its user starts it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.exporter import ExporterProcess
from tests.harness.redis_server import free_port
from tests.harness.region import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

SINK = {"kind": "http", "name": "meter", "url": "http://127.0.0.1:9/"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.metering", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_says_why_it_does_not_start(tmp_path: Path) -> None:
    exporter = ExporterProcess(tmp_path, "redis://127.0.0.1:9/0", SINK)
    without = {name: text for name, text in exporter.environment.items() if "METERING" not in name}
    done = run(**without)
    assert (done.returncode, "wrong setting: an exporter needs" in done.stderr) == (64, True)
    assert run("--confg").returncode == 64
    (tmp_path / "state").write_text("no folder")
    done = run(**exporter.environment)
    assert (done.returncode, "cannot be opened" in done.stderr) == (74, True)


def test_without_redis_it_runs_and_waits_and_its_port_is_its_own(tmp_path: Path) -> None:
    port = free_port()
    first = ExporterProcess(tmp_path / "one", "redis://127.0.0.1:9/0", SINK, listen={"port": port})
    second = ExporterProcess(tmp_path / "two", "redis://127.0.0.1:9/0", SINK, listen={"port": port})
    with first:
        assert first.ready["http"] == f"http://127.0.0.1:{port}"
        done = run(**second.environment)
        assert (done.returncode, str(port) in done.stderr) == (69, True)
        assert first.stop() == 0
