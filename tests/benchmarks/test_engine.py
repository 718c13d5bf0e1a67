"""The engine's benchmark runs: that its figures are good is not asked here, where other work shares the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="keeps to one core")]

_REPOSITORY = Path(__file__).parents[2]


def test_every_batch_is_measured_with_and_without_voice_activity() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.engine", "--short"]
    printed = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=240, check=True).stdout
    rows = [line.split(" | ") for line in printed.splitlines() if " at once" in line]
    figures = {
        row[0].strip("| "): float(row[1].split()[0]) for row in rows if "sherpa-onnx" not in row[0] and len(row) > 2
    }
    assert set(figures) == {f"{batch} at once{kind}" for batch in (1, 8, 32) for kind in ("", ", no voice activity")}
    assert all(cost > 0 for cost in figures.values())
    assert "features" in printed
