"""Promises of the load meter."""

from __future__ import annotations

import pytest

from engines.batching.meter import LoadMeter, LoopFigures

pytestmark = pytest.mark.unit


def test_busy_share_is_that_of_the_last_second() -> None:
    meter = LoadMeter(0)
    for tenth in range(1, 31):
        meter.turned(tenth * 100_000, busy_us=100_000 if tenth <= 10 else 25_000, queued_audio_ms=0)
        if tenth == 10:
            assert meter.figures.busy_permille == 1_000
    assert meter.figures.busy_permille == 250


def test_figures_are_published_ten_times_a_second_with_the_median_step() -> None:
    meter = LoadMeter(0)
    for step_us in (10, 5_000, 30, 20, 40):
        meter.stepped(step_us)
    meter.turned(99_999, busy_us=100, queued_audio_ms=70)
    assert meter.figures == LoopFigures(queued_audio_ms=0, step_p50_us=0, busy_permille=0)
    meter.turned(100_000, busy_us=900, queued_audio_ms=80)
    assert meter.figures == LoopFigures(queued_audio_ms=80, step_p50_us=30, busy_permille=1)
