"""The benchmarks run: that their figures are good is not asked here, where other work shares the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

_REPOSITORY = Path(__file__).parents[2]


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    return subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=240, check=True)


def test_the_load_reaches_every_server_and_its_results_come_back(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    printed = _run("gateway_load", "--short", "--json", str(figures)).stdout
    findings: dict[str, Any] = json.loads(figures.read_text())
    loads = findings["loads"]["50"]
    assert {"gateway", "limited", "aiohttp", "engine"} <= set(loads)
    for results in loads.values():
        (result,) = results
        assert result["messages"] == 500
        assert result["results"] > 0
        assert all(cost_us > 0 for cost_us in result["cpu_us_per_message"].values())
    (limited,) = loads["limited"]
    assert limited["redis"]["scripts_per_s"] > 0
    assert limited["redis"]["cpu_us_per_session_s"] > 0
    assert all(result["sessions_per_s"] > 0 for (result,) in findings["set_ups"].values())
    assert "CPU µs a message" in printed


@pytest.mark.parametrize("module", ["admission", "engine"])
def test_the_smaller_benchmarks_print_their_table(module: str) -> None:
    printed = _run(module, "--short").stdout
    assert printed.count("\n| ") >= 4
