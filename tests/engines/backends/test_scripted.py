"""The scripted backend gives each stream rows of its own features and past, and misbehaves exactly as it is told."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.backends.load import load_backend
from engines.backends.scripted import CONTRACT, BackendScript, ScriptedBackend, Wrongness
from engines.backends.step_times import speech_like
from engines.contract import Backend, BackendKind, BackendSettings
from engines.errors import BackendFailed, ModelRejected

pytestmark = pytest.mark.unit


def scripted(**script: object) -> ScriptedBackend:
    return ScriptedBackend(BackendScript.model_validate(script), BackendSettings(max_slots=4))


@settings(deadline=None)
@given(st.permutations(range(4)), st.integers(0, 100))
def test_a_row_follows_from_the_streams_own_features_and_past_alone(slots: list[int], seed: int) -> None:
    features = [speech_like(CONTRACT, rows=4, seed=seed + step) for step in range(3)]
    together, alone = scripted(), scripted()
    for windows in features:
        rows = together.step(windows, slots)
        for stream, slot in enumerate(slots):
            assert np.array_equal(rows[stream], alone.step(windows[stream : stream + 1], [slot])[0])


def test_the_past_of_a_stream_is_heard() -> None:
    backend = scripted()
    features = speech_like(CONTRACT, rows=1)
    first, second = backend.step(features, [0]), backend.step(features, [0])
    assert not np.array_equal(first, second)
    backend.reset(0)
    assert np.array_equal(backend.step(features, [0]), first)


def test_rows_are_log_probabilities_and_quiet_frames_are_blanks() -> None:
    backend = scripted()
    rows = backend.step(speech_like(CONTRACT, rows=2), [0, 1])
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1, atol=1e-5)
    quiet = np.full((1, CONTRACT.window_frames, CONTRACT.feature_dim), -15.0, np.float32)
    assert (backend.step(quiet, [0]).argmax(-1) == CONTRACT.blank_id).all()


def test_told_to_be_silent_it_gives_blanks() -> None:
    backend = scripted(silent_after_steps=1)
    assert (backend.step(speech_like(CONTRACT, rows=1), [0]).argmax(-1) == CONTRACT.blank_id).all()


def test_told_to_mix_streams_up_it_gives_a_neighbours_rows() -> None:
    features = speech_like(CONTRACT, rows=2)
    right = scripted().step(features, [0, 1])
    mixed = scripted(wrong_after_steps=1, wrong=Wrongness.neighbour).step(features, [0, 1])
    assert np.array_equal(mixed, right[::-1])


def test_told_to_fail_it_fails_once() -> None:
    backend = scripted(fail_after_steps=1)
    features = speech_like(CONTRACT, rows=1)
    backend.step(features, [0])
    with pytest.raises(BackendFailed):
        backend.step(features, [0])
    backend.step(features, [0])


def test_told_to_be_slow_it_says_so_at_its_warm_up() -> None:
    backend = scripted(step_delay_us=1_000, row_delay_us=50)
    assert [(entry.batch, entry.step_us) for entry in backend.warm_up()] == [(1, 1_050), (2, 1_100), (4, 1_200)]


def test_told_to_die_it_kills_its_process() -> None:
    source = (
        "from engines.backends.scripted import *; from engines.backends.step_times import speech_like\n"
        "from engines.contract import BackendSettings\n"
        "backend = ScriptedBackend(BackendScript(die_after_steps=1), BackendSettings(max_slots=1))\n"
        "[backend.step(speech_like(CONTRACT, rows=1), [0]) for _ in range(2)]"
    )
    assert subprocess.run([sys.executable, "-c", source], timeout=60, check=False).returncode == -9


def test_a_script_is_read_from_the_settings() -> None:
    settings = BackendSettings(kind=BackendKind.scripted, max_slots=2, script="fail_after_steps=1,step_delay_us=5")
    backend: Backend = load_backend("nowhere", settings)
    assert [entry.step_us for entry in backend.warm_up()] == [5, 5]


@pytest.mark.parametrize("script", ["speed=3", "fail_after_steps=-1", "wrong=words", "fail_after_steps"])
def test_a_script_that_is_none_is_refused(script: str) -> None:
    with pytest.raises(ModelRejected):
        load_backend("nowhere", BackendSettings(kind=BackendKind.scripted, script=script))
