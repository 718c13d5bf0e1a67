"""`python -m engines` is seen to start in tests/engines/server; here, that it hands on the exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_a_bad_command_line_ends_with_64() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines", "--nonsense"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (64, "")
    assert "--nonsense" in done.stderr
