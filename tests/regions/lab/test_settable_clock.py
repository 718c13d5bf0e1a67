"""A wall clock that can be set, for one process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from regions.lab.settable_clock import ClockMissing, SettableClock, find_library

if TYPE_CHECKING:
    from pathlib import Path

TELLS = "import time; print(time.time(), time.monotonic())"


@pytest.mark.unit
def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ClockMissing, match="libfaketime"):
        SettableClock(tmp_path / "clock", find_library(tmp_path))


@pytest.mark.integration
def test_the_wall_clock_leaps_and_monotonic_time_does_not(tmp_path: Path) -> None:
    clock = SettableClock(tmp_path / "clock", find_library())
    clock.step(3_600)
    clock.step(-600)
    said = subprocess.run(
        [sys.executable, "-c", TELLS], env=os.environ | clock.environment, capture_output=True, text=True, check=True
    )
    wall_s, monotonic_s = map(float, said.stdout.split())
    assert wall_s - time.time() == pytest.approx(3_000, abs=60)
    assert monotonic_s - time.monotonic() == pytest.approx(0, abs=60)
