"""The paced comparison as tables, as a file of figures and as a plot."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from tests.benchmarks.document import machine_line, markdown_table
from tests.benchmarks.measures import Spread

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.stream_findings import StreamFindings
    from tests.benchmarks.stream_load import Lags, Level

NAMES = {
    "sherpa": "sherpa-onnx's WebSocket server",
    "engine": "**engine**, over its link",
    "gateway": "**gateway and engine**, over WebSocket",
}
GOAL, STRETCH = 1.3, 2.0
_COLUMNS = (
    "server", "round", "streams", "partials", "partial_p50_ms", "partial_p95_ms", "partial_p99_ms", "step_p50_ms",
    "step_p95_ms", "pace", "cpu_s_per_audio_hour", "rss_kib", "load_late_p99_ms", "load_share", "shortcoming",
)  # fmt: skip


def report(findings: StreamFindings) -> str:
    parts = [machine_line(findings.machine), _conditions(findings), _most_streams(findings)]
    if findings.common:
        parts.append(_at_common(findings))
    if findings.tried:
        parts.append(_tried(findings))
    return "\n\n".join(parts)


def _conditions(findings: StreamFindings) -> str:
    flags = f" sherpa-onnx runs with {findings.flags}." if findings.flags else ""
    audio = f"Added pauses are {findings.silence_share:.0%} of the audio"
    return f"{audio}; each level is measured for {findings.measure_s:.0f} s.{flags}"


def _most_streams(findings: StreamFindings) -> str:
    rows = []
    for server, ramps in findings.ramps.items():
        best = findings.best(server)
        ratio = ""
        if "sherpa" in findings.ramps and findings.best("sherpa").median:
            theirs = findings.best("sherpa").median
            ratio = Spread(best.median / theirs, best.least / theirs, best.most / theirs).shown(2)
        lags = [level.partial_lags.p95_ms for ramp in ramps for level in ramp.levels if level.streams == ramp.best]
        rows.append([NAMES[server], best.shown(0), ratio, Spread.of(lags or [0.0]).shown(0)])
    header = ["one core", "streams", "x sherpa-onnx", "p95 partial lag there, ms"]
    return f"### The most streams that one core keeps up with\n\n{markdown_table(header, rows)}"


def _at_common(findings: StreamFindings) -> str:
    rows = []
    for server, ramps in findings.ramps.items():
        level = findings.at(server, findings.common)
        first = ramps[0]
        rows.append(
            [
                NAMES[server],
                f"{_cpu_s(level):.1f}",
                _lags(level.partial_lags),
                _lags(first.first_words),
                _lags(first.finals),
                f"{findings.idle_mib(server):.0f}",
                f"{sum(level.rss_kib.values()) / 1_024:.0f}",
                findings.kib_per_stream(server).shown(0),
            ]
        )
    header = [
        f"{findings.common} streams",
        "CPU s an hour of audio",
        "partial lag, p50 / p95 ms",
        "first words, p50 / p95 ms",
        "finalisation, p50 / p95 ms",
        "just started, MiB",
        "with so many, MiB",
        "each more, KiB",
    ]
    title = f"### The same load for all: {findings.common} streams"
    return f"{title}\n\n{markdown_table(header, rows)}"


def _tried(findings: StreamFindings) -> str:
    rows = [
        [
            tried.flags + (" (chosen)" if tried.flags == findings.flags else ""),
            str(tried.result.best),
            *(f"{level.partial_lags.p95_ms:.0f}" for level in tried.result.levels),
        ]
        for tried in findings.tried
    ]
    streams = max((tried.result.levels for tried in findings.tried), key=len)
    header = ["flags", "most streams", *(f"p95 ms at {level.streams}" for level in streams)]
    width = len(header)
    table = markdown_table(header, [[*row, *[""] * (width - len(row))] for row in rows])
    return f"### sherpa-onnx's flags\n\n{table}"


def _lags(lags: Lags) -> str:
    return f"{lags.p50_ms:.0f} / {lags.p95_ms:.0f}" if lags.count else ""


def _cpu_s(level: Level) -> float:
    return sum(level.cpu_s_per_audio_hour.values())


def write_csv(findings: StreamFindings, path: Path) -> None:
    """Every level of every ramp; times in ms, memory and CPU of all processes of a server together."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_COLUMNS)
        for server, ramps in findings.ramps.items():
            for number, ramp in enumerate(ramps, 1):
                for level in ramp.levels:
                    partial, step = level.partial_lags, level.step_lags
                    lags = (partial.p50_ms, partial.p95_ms, partial.p99_ms, step.p50_ms, step.p95_ms)
                    rows.writerow(
                        [
                            *(server, number, level.streams, partial.count),
                            *(f"{lag_ms:.1f}" for lag_ms in lags),
                            f"{level.pace:.3f}",
                            f"{_cpu_s(level):.2f}",
                            sum(level.rss_kib.values()),
                            f"{level.late_p99_ms:.2f}",
                            f"{level.load_share:.2f}",
                            level.shortcoming,
                        ]
                    )


def plot_lags(findings: StreamFindings, path: Path) -> None:
    """Streams against p95 lag, all rounds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), dpi=90)
    for server in findings.ramps:
        points = sorted((level.streams, level.partial_lags.p95_ms) for level in findings.levels(server))
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=NAMES[server].replace("*", ""))
    axes.axhline(findings.most_lag_ms, color="grey", linestyle="--", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("streams on one core")
    axes.set_ylabel("p95 lag of partials, ms")
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
