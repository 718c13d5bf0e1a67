"""The benchmark of WebTransport runs: that its figures are good is not asked, where other work shares the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

_REPOSITORY = Path(__file__).parents[2]
_WAYS = ("websocket", "streams", "datagrams")


def test_every_way_is_loaded_and_its_results_come_back(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks.webtransport", "--short", "--json", str(figures)]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=240, check=True)
    findings: dict[str, Any] = json.loads(figures.read_text())
    for way in _WAYS:
        (result,) = findings["loads"][way]["8"]
        assert result["results"] > 0
        assert result["broken"] == 0
        assert all(cost_us > 0 for cost_us in result["cpu_us_per_message"].values())
    if not findings["no_lags"]:
        for way in _WAYS:
            (lag,) = findings["lags"][way]["20 ms, 5 %"]
            assert lag["link_lost"] > 0
            assert lag["result"]["results"] > 0
    assert "Sessions that one core keeps up with" in done.stdout
