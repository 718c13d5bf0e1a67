"""What the benchmarks read of processes and of the machine. Linux only."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CPUCLOCK_SCHED = 2


def cpu_ns(pid: int) -> int:
    """Time that all threads of a process, ended ones too, were on a CPU.

    Source: clock_getcpuclockid(3); the clock's number is made as in the kernel's include/linux/posix-timers_types.h.
    """
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)


def rss_kib(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def peak_rss_kib(pid: int) -> int:
    """The most memory that a process has had resident since its program began."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the most of its rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def shown(self, digits: int = 1) -> str:
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}-{self.most:.{digits}f})"


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in rising order; 0 for none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def machine() -> dict[str, str]:
    """What a reader must know to compare figures."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "date": time.strftime("%Y-%m-%d"),
    }
