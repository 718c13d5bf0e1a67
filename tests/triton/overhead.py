"""What a step costs at a Triton server beside the same step here: medians of steps taken in turns, as a table.

.venv/bin/python -m tests.triton.overhead [--steps N] [--queue-delay-us N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from engines.backends.onnx import open_plain
from engines.backends.step_times import speech_like
from engines.backends.triton.backend import open_backend
from engines.backends.triton.entry_config import EntryOptions
from engines.backends.triton.repository import write_entry
from engines.contract import BackendKind, BackendSettings
from engines.model_files import check_model, find_model_file
from tests.harness.triton import Triton

if TYPE_CHECKING:
    from engines.contract import Backend

EMBEDDED = Path(__file__).parents[2] / "engines" / "models" / "embedded"
BATCHES = (1, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--queue-delay-us", type=int, default=EntryOptions().queue_delay_us)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        write_entry(EMBEDDED, repository, EntryOptions(queue_delay_us=given.queue_delay_us), name="asr")
        server = Triton(repository)
        try:
            server.start()
            measure(server, given.steps)
        finally:
            server.stop()


def measure(server: Triton, steps: int) -> None:
    settings = BackendSettings(kind=BackendKind.triton, server=server.address, max_slots=max(BATCHES))
    contract, model_file = check_model(EMBEDDED), find_model_file(EMBEDDED)
    here: Backend = open_plain(contract, model_file, BackendSettings(max_slots=max(BATCHES)))
    print("batch  here ms  Triton ms  added ms  of it CPU here ms  runs a step")
    with closing(open_backend("asr", settings)) as there:
        for batch in BATCHES:
            features = speech_like(contract, rows=batch)
            took_ms: dict[str, list[float]] = {"here": [], "there": [], "there, CPU": []}
            runs_before = server.counts_of("asr")[1]
            for _ in range(steps):
                for name, backend in (("here", here), ("there", there)):
                    began_at_s, cpu_at_s = time.perf_counter(), time.process_time()
                    backend.step(features, range(batch))
                    took_ms[name].append((time.perf_counter() - began_at_s) * 1_000)
                    if name == "there":
                        took_ms["there, CPU"].append((time.process_time() - cpu_at_s) * 1_000)
            runs = (server.counts_of("asr")[1] - runs_before) / steps
            here_ms, there_ms, cpu_ms = (median(took) for took in took_ms.values())
            added_ms = there_ms - here_ms
            print(f"{batch:5}  {here_ms:7.2f}  {there_ms:9.2f}  {added_ms:8.2f}  {cpu_ms:17.2f}  {runs:11.1f}")


if __name__ == "__main__":
    main()
