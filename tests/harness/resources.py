"""What a process holds over time: memory, descriptors, threads, and whether they grow. Linux only."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_PARTS = 12


@dataclass(frozen=True, slots=True)
class Held:
    at_s: float
    rss_kib: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Slope:
    """Of a straight line, with its standard error."""

    kib_per_hour: float
    error_kib_per_hour: float

    def __str__(self) -> str:
        return f"{self.kib_per_hour:+.0f} +- {self.error_kib_per_hour:.0f} KiB an hour"


def held_by(pid: int) -> Held:
    rss_kib = threads = 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmRSS":
            rss_kib = int(value.split()[0])
        elif name == "Threads":
            threads = int(value)
    return Held(time.monotonic(), rss_kib, len(os.listdir(f"/proc/{pid}/fd")), threads)


@dataclass(slots=True)
class Watch:
    """Samples of one process."""

    pid: int
    samples: list[Held] = field(default_factory=list)

    def look(self) -> Held:
        held = held_by(self.pid)
        self.samples.append(held)
        return held

    @property
    def memory_slope(self) -> Slope:
        """Of a line through the medians of a dozen parts of the time: neighbouring samples are alike, and as so many
        independent ones they would make the error look far too small.

        Raises ValueError for fewer than three samples.
        """
        parts = [part for part in np.array_split(np.array(self.samples, object), _PARTS) if len(part)]
        if len(parts) < 3:
            raise ValueError("a slope takes three samples")
        hours = np.array([float(np.median([held.at_s for held in part])) for part in parts]) / 3_600
        kib = np.array([float(np.median([held.rss_kib for held in part])) for part in parts])
        centred = hours - hours.mean()
        spread = float(centred @ centred)
        slope = float(centred @ kib) / spread
        residuals = kib - kib.mean() - slope * centred
        error = math.sqrt(float(residuals @ residuals) / (len(kib) - 2) / spread)
        return Slope(slope, error)
