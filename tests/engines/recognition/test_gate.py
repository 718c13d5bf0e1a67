"""The model waits for little: doubtful speech, or a sound in quiet, and begins half a second before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.recognition.gate import SilenceGate, window_energies

pytestmark = pytest.mark.unit

STEP = 5_120
QUIET = 512 * 1e-6
"""-60 dB."""


def gate() -> SilenceGate:
    return SilenceGate(step_samples=STEP)


def test_nothing_heard_opens_nothing() -> None:
    assert gate().hear(0, [0.0, 0.09, 0.05], [QUIET, 7 * QUIET, QUIET]) is None


def test_doubtful_speech_opens_the_gate_at_once() -> None:
    assert gate().hear(40, [0.0, 0.1], [QUIET, QUIET]) == (41 * 512 - 8_000) // STEP * STEP


def test_a_sound_in_quiet_opens_the_gate() -> None:
    opened = gate()
    assert opened.hear(0, [0.0] * 60, [QUIET] * 60) is None
    assert opened.hear(60, [0.0], [8 * QUIET]) == (60 * 512 - 8_000) // STEP * STEP


def test_what_is_below_the_floor_counts_as_quiet() -> None:
    floor = 512 * 1e-7
    assert gate().hear(0, [0.0] * 3, [0.0, floor, 7.9 * floor]) is None


def test_noise_that_stays_does_not_open_the_gate() -> None:
    noise = np.random.default_rng(3).standard_normal((1_000, 512)) * 0.05
    assert gate().hear(0, [0.0] * 1_000, window_energies(noise.astype(np.float32))) is None


@given(st.integers(0, 2_000))
def test_the_model_begins_at_a_step_with_its_pre_roll(window: int) -> None:
    start = gate().hear(window, [1.0], [QUIET])
    assert start is not None
    assert start % STEP == 0
    assert start == 0 or 8_000 <= window * 512 - start < 8_000 + STEP
    assert gate().earliest_start_sample(window) == start


@given(st.lists(st.integers(-32_768, 32_767), min_size=512, max_size=512))
def test_energies_are_exact(samples: list[int]) -> None:
    window = np.array([samples], np.float32) / 32_768
    assert window_energies(window) == [sum(sample * sample for sample in samples) / 2**30]
