"""The benchmark of the large model runs, on a small one of the same shape."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop

_REPOSITORY = Path(__file__).parents[2]


def test_both_programs_are_measured_at_every_batch() -> None:
    pytest.importorskip("sherpa_onnx")
    command = [sys.executable, "-m", "tests.benchmarks.large_model", "--short"]
    printed = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=240, check=True).stdout
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    loading = {row[0]: row[1:] for row in rows if row[0] in ("ours", "sherpa-onnx")}
    batches = {int(row[0]): row[1:] for row in rows if row[0].isdigit()}
    assert set(loading) == {"ours", "sherpa-onnx"}
    assert set(batches) == {1, 2}
    assert all(float(figure.split()[0]) > 0 for row in batches.values() for figure in row)
