"""How long one step of the model takes for batches of many sizes, on one core.

Each step takes other slots than the last one, as an engine does that has more streams than one batch, so state is not
in the cache beforehand.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.backends.load import load_backend
from engines.contract import BackendKind, BackendSettings
from engines.server.options import EMBEDDED_MODEL
from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import Backend

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_SLOTS = 256
_BATCHES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)
_CHUNK_MS_PER_FRAME = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """One backend with one model. `steps_us`: microseconds of a step, by batch size."""

    name: str
    chunk_ms: int
    steps_us: dict[int, Spread]

    def streams(self, batch: int) -> float:
        """How many real-time streams a core would serve that did nothing but such steps."""
        return batch * self.chunk_ms * 1_000 / self.steps_us[batch].median


def measure(name: str, backend: Backend, batches: Sequence[int], *, rounds: int) -> Subject:
    """Time `rounds` steps of each size, sizes taking turns."""
    contract = backend.contract
    noise = np.random.default_rng(0)
    shape = (max(batches), contract.window_frames, contract.feature_dim)
    features = noise.standard_normal(shape, dtype=np.float32)
    taken: dict[int, list[float]] = {batch: [] for batch in batches}
    first = 0
    for number in range(rounds + 1):
        for batch in batches:
            slots = [(first + offset) % backend.max_slots for offset in range(batch)]
            first += batch
            began_at_ns = time.perf_counter_ns()
            backend.step(features[:batch], slots)
            if number:  # the first of each size is for warming up
                taken[batch].append((time.perf_counter_ns() - began_at_ns) / 1e3)
    chunk_ms = contract.shift_frames * _CHUNK_MS_PER_FRAME
    return Subject(name, chunk_ms, {batch: Spread.of(us) for batch, us in taken.items()})


def report(subjects: Sequence[Subject]) -> str:
    rows = [
        [
            subject.name,
            str(batch),
            Spread(us.median / 1e3, us.least / 1e3, us.most / 1e3).shown(2),
            f"{us.median / batch:.0f}",
            f"{subject.streams(batch):.0f}",
        ]
        for subject in subjects
        for batch, us in subject.steps_us.items()
    ]
    header = ["backend", "batch", "step, ms", "µs a stream", "streams a core, the model alone"]
    return f"{machine_line(machine())}\n\n{markdown_table(header, rows)}"


def write_csv(subjects: Sequence[Subject], path: Path) -> None:
    """Microseconds of a step: median, least and most of the rounds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["backend", "batch", "step_us", "least_us", "most_us"])
        for subject in subjects:
            for batch, us in subject.steps_us.items():
                rows.writerow([subject.name, batch, f"{us.median:.0f}", f"{us.least:.0f}", f"{us.most:.0f}"])


def plot(subjects: Sequence[Subject], path: Path) -> None:
    """Batch size against step time, and against what a stream's step costs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (whole, each) = pyplot.subplots(1, 2, figsize=(9, 3.6), dpi=90)
    for subject in subjects:
        batches = list(subject.steps_us)
        medians_us = [us.median for us in subject.steps_us.values()]
        whole.plot(batches, [us / 1e3 for us in medians_us], marker="o", markersize=3, label=subject.name)
        each.plot(
            batches, [us / batch for batch, us in zip(batches, medians_us, strict=True)], marker="o", markersize=3
        )
    whole.set_ylabel("step, ms")
    each.set_ylabel("µs a stream")
    each.set_ylim(bottom=0)
    whole.legend()
    for axes in (whole, each):
        axes.set_xlabel("batch")
        axes.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine_batches", description=__doc__)
    parser.add_argument("--short", action="store_true", help="four sizes, twice: that it runs, not how fast")
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL, help="folder or file of another model")
    parser.add_argument("--kind", type=BackendKind, default=BackendKind.onnx, help="on which runtime")
    parser.add_argument("--write-docs", action="store_true", help="put table, figures and plot into docs/")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    batches = _BATCHES[:4] if arguments.short else _BATCHES
    settings = BackendSettings(kind=arguments.kind, max_slots=_SLOTS, threads=1)
    backend = load_backend(arguments.model, settings)
    name = f"{arguments.kind.value}, {backend.contract.name}"
    subjects = [measure(name, backend, batches, rounds=2 if arguments.short else 25)]
    backend.close()
    text = report(subjects)
    print(text)
    if arguments.write_docs:
        _IMAGES.mkdir(exist_ok=True)
        write_csv(subjects, _IMAGES / "engine_batches.csv")
        plot(subjects, _IMAGES / "engine_batches.png")
        image = "![Batch size against the time of a step](images/engine_batches.png)"
        write_section("engine_batches", f"{text}\n\n{image}\n\nThe figures: [CSV](images/engine_batches.csv).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
