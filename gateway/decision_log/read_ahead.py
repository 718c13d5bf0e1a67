"""Reads the files of a log in several processes, for whoever verifies one that is large."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from gateway.decision_log.opened_files import lines_of
from policies.residency.record_chain.clean_file import CleanFile, FileJob, read_clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from policies.residency.record_chain.verify import ReadAhead

_WORTH_BYTES = 100_000_000
"""What is smaller one process has read before others have started."""
_MAX_PROCESSES = 8


def read_ahead(directory: Path, *, processes: int = 0, worth_bytes: int = _WORTH_BYTES) -> ReadAhead | None:
    """None: one process is enough. `processes`: 0: as many as there are CPUs, and no more than 8.

    Raises:
        OSError: the directory cannot be read.
    """
    processes = processes or min(_MAX_PROCESSES, os.cpu_count() or 1)
    sizes = [path.stat().st_size for path in directory.glob("*.jsonl")]
    if processes < 2 or len(sizes) < 2 or sum(sizes) < worth_bytes:
        return None

    def read(jobs: Sequence[FileJob]) -> Iterator[CleanFile | None]:
        given = 0
        try:
            with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
                for clean in pool.map(_read, [directory] * len(jobs), jobs):
                    given += 1
                    yield clean
        except BrokenProcessPool:  # one was killed: whoever asks reads the others himself
            yield from [None] * (len(jobs) - given)

    return read


def _read(directory: Path, job: FileJob) -> CleanFile | None:
    try:
        return read_clean(job, lines_of(directory / job.name)())
    except OSError:
        return None
