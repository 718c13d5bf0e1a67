"""`make bench-engine`: how many paced streams one core serves, beside sherpa-onnx's server with the same model file.

The servers take turns on one core, the load has another one for itself. What is measured, and how to read it, stands in
docs/benchmarks.md; `--write-docs` puts the tables there, and the figures and plots beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.model_files import check_model
from engines.server.options import EMBEDDED_MODEL
from tests.benchmarks.document import write_section
from tests.benchmarks.measures import machine
from tests.benchmarks.stream_findings import StreamFindings, Tried
from tests.benchmarks.stream_load import RampOrder, RampResult
from tests.benchmarks.stream_report import plot_lags, report, write_csv
from tests.benchmarks.stream_servers import (
    SHERPA,
    SherpaFlags,
    running_engine,
    running_region,
    running_sherpa,
)
from tests.benchmarks.targets import Issuer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from tests.benchmarks.targets import Target

_REPOSITORY = Path(__file__).parents[2]
_IMAGES = _REPOSITORY / "docs" / "images"
_SLACK_S = 90.0
_FINE_FROM, _MOST_FINE_LEVELS = 0.9, 20

TRIED_FLAGS = (
    SherpaFlags(),
    SherpaFlags(work_threads=1, max_batch=32),
    SherpaFlags(work_threads=2, max_batch=32),
    SherpaFlags(work_threads=1, max_batch=64, loop_interval_ms=20),
    SherpaFlags(work_threads=2, max_batch=128, loop_interval_ms=20),
)
"""The first is what it does when nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Levels rise by `coarse` in the first round, and by `fine` from a little below its result in the others."""

    first_level: int
    most: int
    coarse: float
    fine: float
    rounds: int
    settle_s: float
    measure_s: float
    tuning_levels: tuple[int, ...]
    tuning_s: float
    flags: tuple[SherpaFlags, ...]
    finishes: int
    track_s: int
    most_lag_ms: float


SHORT = Plan(6, 6, 1.25, 1.05, 1, 0.3, 1.2, (), 0.0, TRIED_FLAGS[1:2], 2, 10, 1e9)
USUAL = Plan(80, 1_000, 1.25, 1.05, 3, 1.5, 5.0, (180, 220, 270, 330, 400), 4.0, TRIED_FLAGS, 30, 40, 320.0)


def levels_between(first: int, most: int, factor: float) -> tuple[int, ...]:
    """Rising numbers of streams from `first` to `most` at the most, each at least one more than the last."""
    levels = [first]
    while (following := max(levels[-1] + 1, round(levels[-1] * factor))) <= most:
        levels.append(following)
    return tuple(levels)


class Bench:
    """Runs a plan, one server at a time."""

    def __init__(self, plan: Plan, scratch: Path, *, silence_share: float, engine_arguments: tuple[str, ...]) -> None:
        self._plan = plan
        self._scratch = scratch
        self._engine_arguments = engine_arguments
        self._issuer = Issuer()
        cores = sorted(os.sched_getaffinity(0))
        self._load_core, self._server_core = cores[0], cores[-1]
        self._contract = check_model(EMBEDDED_MODEL)
        self._flags = plan.flags[0]
        self.findings = StreamFindings(
            machine=machine(),
            silence_share=silence_share,
            most_lag_ms=plan.most_lag_ms,
            measure_s=plan.measure_s,
            flags="",
            tried=[],
            ramps={},
        )

    def run(self) -> StreamFindings:
        if SHERPA is not None:
            self._tune()
        servers = ["sherpa", "engine", "gateway"] if SHERPA is not None else ["engine", "gateway"]
        for number in range(self._plan.rounds):
            for server in servers:
                ramps = self.findings.ramps.setdefault(server, [])
                levels = self._levels(ramps)
                _say(f"round {number + 1} of {self._plan.rounds}: {server} from {levels[0]} streams")
                ramps.append(self._ramp(server, levels, finishes=0 if ramps else self._plan.finishes))
                _say("; ".join(_told(ramps[-1])))
        return self.findings

    def _tune(self) -> None:
        """Choose the flags that serve most of the tuning levels, then those with the least lag at the last of them."""
        plan = self._plan
        for flags in plan.flags if plan.tuning_levels else ():
            self._flags = flags
            result = self._ramp("sherpa", plan.tuning_levels, measure_s=plan.tuning_s)
            self.findings.tried.append(Tried(str(flags), result))
            _say(f"sherpa with {flags}: {'; '.join(_told(result))}")
        if self.findings.tried:
            tried = self.findings.tried
            best = max(range(len(tried)), key=lambda n: (tried[n].result.best, -tried[n].last_lag_ms))
            self._flags = plan.flags[best]
        self.findings = msgspec.structs.replace(self.findings, flags=str(self._flags))

    def _levels(self, ramps: Sequence[RampResult]) -> tuple[int, ...]:
        plan = self._plan
        if not ramps:
            return levels_between(plan.first_level, plan.most, plan.coarse)
        served = ramps[0].best or plan.first_level // 2
        return levels_between(max(1, round(_FINE_FROM * served)), plan.most, plan.fine)[:_MOST_FINE_LEVELS]

    def _ramp(
        self, server: str, levels: tuple[int, ...], *, finishes: int = 0, measure_s: float | None = None
    ) -> RampResult:
        plan = self._plan
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder, self._running(server, Path(folder)) as target:
            order = RampOrder(
                server=server,  # type: ignore[arg-type]
                levels=levels,
                settle_s=plan.settle_s,
                measure_s=measure_s or plan.measure_s,
                most_lag_ms=plan.most_lag_ms,
                silence_share=self.findings.silence_share,
                finishes=finishes,
                cpu_of=target.pids,
                core=self._load_core,
                window_frames=self._contract.window_frames,
                shift_frames=self._contract.shift_frames,
                track_s=plan.track_s,
                port=target.port,
                token=self._issuer.token("ES256"),
                engine=target.engine,
            )
            return _load(order)

    def _running(self, server: str, folder: Path) -> AbstractContextManager[Target]:
        core = self._server_core
        if server == "sherpa":
            return running_sherpa(self._flags, folder, core=core)
        if server == "engine":
            return running_engine(folder, core=core, arguments=self._engine_arguments)
        return running_region(self._issuer, folder, core=core, engine_arguments=self._engine_arguments)


def _load(order: RampOrder) -> RampResult:
    """Have a process of its own carry out an order."""
    timeout_s = len(order.levels) * (2 * order.settle_s + order.measure_s + 1) + order.levels[-1] / 100 + _SLACK_S
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.stream_load"],
        input=msgspec.json.encode(order),
        stdout=subprocess.PIPE,
        cwd=_REPOSITORY,
        timeout=timeout_s,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=RampResult)


def _told(ramp: RampResult) -> list[str]:
    return [
        f"{level.streams}: p95 {level.partial_lags.p95_ms:.0f} ms"
        + (f" ({level.shortcoming})" if level.shortcoming else "")
        + (" (the load was late)" if level.is_load_late else "")
        for level in ramp.levels
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine_streams", description=__doc__)
    parser.add_argument("--short", action="store_true", help="six streams, once: that it runs, not how fast")
    parser.add_argument("--silence-share", type=float, default=0.3, help="how much of the audio are added pauses")
    parser.add_argument(
        "--engine-arguments",
        default="--busy-permille 0",
        help="more options of `python -m engines`, in one string; by default it refuses nobody",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--write-docs", action="store_true", help="put tables, figures and plots into docs/")
    arguments = parser.parse_args()
    if SHERPA is None:
        _say("sherpa-onnx-bin is not installed (make setup-interop): its rows are left out")
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as scratch:
        bench = Bench(
            SHORT if arguments.short else USUAL,
            Path(scratch),
            silence_share=arguments.silence_share,
            engine_arguments=tuple(arguments.engine_arguments.split()),
        )
        findings = bench.run()
    text = report(findings)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(msgspec.to_builtins(findings), indent=1) + "\n", encoding="utf-8")
    if arguments.write_docs:
        _IMAGES.mkdir(exist_ok=True)
        write_csv(findings, _IMAGES / "engine_streams.csv")
        plot_lags(findings, _IMAGES / "engine_streams.png")
        plot = "![Streams against the lag of their partials](images/engine_streams.png)"
        write_section(
            "engine_streams", f"{text}\n\n{plot}\n\nEvery level of every round: [CSV](images/engine_streams.csv)."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
