"""A wall clock for one process that the lab can set, by libfaketime. Monotonic time does not leap.

Debian's Redis allocates with jemalloc, which asks for the time while libfaketime starts, and libfaketime gives up on
that; so the C library's own allocator goes before jemalloc.
"""

from __future__ import annotations

from pathlib import Path

_LIBRARY = "*/faketime/libfaketimeMT.so.1"


def find_library(root: Path = Path("/usr/lib")) -> Path | None:
    """libfaketime, where it is installed."""
    return next(iter(sorted(root.glob(_LIBRARY))), None)


class ClockMissing(Exception):
    """libfaketime is not installed."""


class SettableClock:
    """`environment` is for the process's start."""

    def __init__(self, file: Path, library: Path | None) -> None:
        if library is None:
            raise ClockMissing("libfaketime is not installed; scripts/setup.sh installs it")
        self._file = file
        self._ahead_s = 0.0
        self.step(0.0)
        self.environment = {
            "LD_PRELOAD": f"{library}:libc.so.6",
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # What it guesses by itself makes Python's waits for the interpreter's lock return at once, again and again.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def step(self, by_s: float) -> None:
        """Ahead, or back if negative; seen within a second."""
        self._ahead_s += by_s
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self._ahead_s:+.1f}s\n", encoding="utf-8")
        fresh.replace(self._file)
