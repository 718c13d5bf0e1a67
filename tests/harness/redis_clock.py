"""A wall clock for one redis-server that a test can set, by libfaketime (which scripts/setup.sh installs).

Debian's Redis allocates with jemalloc, which asks for the time while libfaketime starts, and libfaketime gives up on
that; so the C library's own allocator goes before jemalloc. Only the wall clock leaps, which is Redis's TIME.
"""

from __future__ import annotations

from pathlib import Path

_LIBRARY = "*/faketime/libfaketime.so.1"


class SettableClock:
    """`environment` is for the server's start."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "clock"
        self._ahead_s = 0
        self.leap(0)
        library = next(iter(Path("/usr/lib").glob(_LIBRARY)), None)
        if library is None:
            raise AssertionError("libfaketime is not installed: scripts/setup.sh dev")
        self.environment = {
            "LD_PRELOAD": f"{library}:libc.so.6",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def leap(self, seconds: int) -> None:
        """Ahead, or back if negative; from the next look at the clock on."""
        self._ahead_s += seconds
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self._ahead_s:+d}s\n")
        fresh.replace(self._file)
