"""The paced comparison: what its figures are made of, and that it runs. How good they are is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.engine_streams import levels_between
from tests.benchmarks.stream_audio import CHUNK_SAMPLES, chunks_of, tracks
from tests.benchmarks.stream_findings import StreamFindings
from tests.benchmarks.stream_load import Lags, Level, RampResult, sherpa_step_ends
from tests.benchmarks.stream_report import plot_lags, report, write_csv
from tests.benchmarks.stream_timing import StreamTiming, Timings

_REPOSITORY = Path(__file__).parents[2]
MS = 1_000_000


def _timed(*, messages: int) -> tuple[Timings, StreamTiming]:
    """One message each 100 ms, from 1 s on."""
    timings = Timings()
    stream = StreamTiming(timings)
    for number in range(messages):
        stream.sent((1_000 + 100 * number) * MS)
    return timings, stream


def test_a_lag_counts_from_the_message_with_the_last_sample_that_a_result_covers() -> None:
    timings, stream = _timed(messages=5)
    stream.words_came(4 * CHUNK_SAMPLES, 1_350 * MS)
    stream.words_came(4 * CHUNK_SAMPLES + 1, 1_450 * MS)
    assert timings.partial_lags_ns == [50 * MS, 50 * MS]
    assert timings.first_words_ns == [350 * MS]


def test_only_results_for_audio_of_the_measured_time_count_however_late_they_come() -> None:
    timings, stream = _timed(messages=5)
    timings.begin(1_100 * MS, 1_200 * MS)
    stream.step_done(CHUNK_SAMPLES, 1_150 * MS)
    stream.step_done(2 * CHUNK_SAMPLES, 9_000 * MS)
    stream.step_done(3 * CHUNK_SAMPLES, 9_000 * MS)
    assert timings.step_lags_ns == [7_900 * MS]
    assert timings.covered_samples == 3 * CHUNK_SAMPLES


def test_a_step_that_hears_old_audio_again_is_no_progress() -> None:
    timings, stream = _timed(messages=5)
    for through_sample in (3 * CHUNK_SAMPLES, 2 * CHUNK_SAMPLES, 3 * CHUNK_SAMPLES):
        stream.step_done(through_sample, 2_000 * MS)
    assert timings.covered_samples == 3 * CHUNK_SAMPLES
    assert len(timings.step_lags_ns) == 1


def test_what_a_server_pads_behind_the_last_audio_has_no_lag() -> None:
    timings, stream = _timed(messages=2)
    stream.words_came(9 * CHUNK_SAMPLES, 2_000 * MS)
    assert timings.partial_lags_ns == []


def test_a_track_is_made_of_whole_messages_with_so_much_added_silence() -> None:
    quiet_shares = {}
    for share in (0.0, 0.3):
        made = tracks(silence_share=share, duration_s=60, count=8)
        assert all(len(track) == 60 * 16_000 for track in made)
        assert {len(chunk) for chunk in chunks_of(made[0])} == {CHUNK_SAMPLES}
        quiet_shares[share] = np.mean([np.abs(chunk).max() < 120 for track in made for chunk in chunks_of(track)])
    assert abs(quiet_shares[0.3] - (0.3 + 0.7 * quiet_shares[0.0])) < 0.07


def test_levels_rise_and_end_at_the_most() -> None:
    assert levels_between(100, 250, 1.25) == (100, 125, 156, 195, 244)
    assert levels_between(1, 5, 1.05) == (1, 2, 3, 4, 5)


def test_sherpa_onnx_waits_for_a_frame_more_than_its_step_reads() -> None:
    step_end_sample = sherpa_step_ends(window_frames=39, shift_frames=32)
    assert [step_end_sample(step) for step in (0, 1)] == [160 * 39 + 280, 160 * (39 + 32) + 280]


def _ramp(*p95s_ms: float) -> RampResult:
    levels = tuple(
        Level(
            streams=100 + 25 * number,
            partial_lags=Lags(10, p95_ms / 2, p95_ms, p95_ms),
            step_lags=Lags(10, p95_ms / 2, p95_ms, p95_ms),
            pace=1.0,
            cpu_s_per_audio_hour={"server": 7.0},
            rss_kib={"server": 200_000},
            late_p99_ms=1.0,
            load_share=0.1,
            shortcoming="" if p95_ms <= 320 else "p95 above 320 ms",
            is_load_late=False,
        )
        for number, p95_ms in enumerate(p95s_ms)
    )
    few = Lags(1, 1.0, 1.0, 1.0)
    return RampResult(levels=levels, idle_rss_kib={"server": 100_000}, first_words=few, finals=few)


def test_the_report_says_how_many_more_streams_that_is(tmp_path: Path) -> None:
    findings = StreamFindings(
        machine={"date": "2026-01-01", "cores": "2", "cpu": "any", "kernel": "6.1", "python": "3.11"},
        silence_share=0.3,
        most_lag_ms=320.0,
        measure_s=6.0,
        flags="",
        tried=[],
        ramps={"sherpa": [_ramp(100.0, 400.0), _ramp(200.0, 500.0)], "engine": [_ramp(50.0, 60.0), _ramp(9.0, 90.0)]},
    )
    assert (findings.best("sherpa").median, findings.best("engine").median, findings.common) == (100, 125, 100)
    text = report(findings)
    assert "| 125 (125-125) | 1.25 (1.25-1.25) |" in text
    write_csv(findings, tmp_path / "figures.csv")
    assert len((tmp_path / "figures.csv").read_text().splitlines()) == 1 + 8
    plot_lags(findings, tmp_path / "lags.png")
    assert (tmp_path / "lags.png").stat().st_size < 100_000


@pytest.mark.integration
def test_every_server_is_driven_and_its_results_are_timed(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks.engine_streams", "--short", "--json", str(figures)]
    printed = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=240, check=True).stdout
    findings: dict[str, Any] = json.loads(figures.read_text())
    assert {"engine", "gateway", "sherpa"} == set(findings["ramps"])
    for ramps in findings["ramps"].values():
        (level,) = ramps[0]["levels"]
        assert level["partial_lags"]["count"] > 0
        assert ramps[0]["finals"]["count"] == 2
    assert "CPU s an hour of audio" in printed


@pytest.mark.integration
def test_steps_of_many_batch_sizes_are_timed() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.engine_batches", "--short"]
    printed = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    assert printed.count("\n| onnx, ") == 4
