"""The limiter's benchmark runs: that its figures are good is not asked here, where other work shares the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

_REPOSITORY = Path(__file__).parents[2]


def test_the_script_is_measured_beside_its_peers() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.limits", "--short"]
    printed = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ") and "(" in line]
    names = {row[0].strip("| ") for row in rows}
    assert {"quota script, 1 session a call", "quota script, 50 sessions a call", "INCRBY"} <= names
    assert sum("limits, " in name for name in names) == 3
    assert all(float(row[1].split()[0]) > 0 for row in rows)
