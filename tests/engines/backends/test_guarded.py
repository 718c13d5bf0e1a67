"""Rows that are misshapen or not finite lose their batch; they never become words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.backends.guarded import GuardedBackend, check_rows
from engines.backends.scripted import CONTRACT, BackendScript, ScriptedBackend, Wrongness
from engines.backends.step_times import speech_like
from engines.contract import BackendSettings
from engines.errors import BackendFailed

if TYPE_CHECKING:
    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

SHAPE = (3, 4, CONTRACT.vocab_size + 1)


@settings(deadline=None)
@given(st.integers(0, int(np.prod(SHAPE)) - 1), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_whatever_is_not_finite_is_found_wherever_it_is(place: int, value: float) -> None:
    rows: FloatArray = np.full(SHAPE, -2.0, np.float32)
    check_rows(rows, CONTRACT, batch=3)
    rows.reshape(-1)[place] = value
    with pytest.raises(BackendFailed, match="not finite for 1 of 3 streams"):
        check_rows(rows, CONTRACT, batch=3)


def test_numbers_that_cancel_out_do_not_hide_an_infinity() -> None:
    rows: FloatArray = np.full(SHAPE, -2.0, np.float32)
    rows[1, 0, 0], rows[1, 0, 1] = np.inf, -np.inf
    with pytest.raises(BackendFailed):
        check_rows(rows, CONTRACT, batch=3)


@pytest.mark.parametrize("wrong", [Wrongness.nan, Wrongness.shape])
def test_a_backend_that_goes_wrong_fails_its_batch(wrong: Wrongness) -> None:
    script = BackendScript(wrong_after_steps=2, wrong=wrong)
    backend = GuardedBackend(ScriptedBackend(script, BackendSettings(max_slots=2)))
    features = speech_like(CONTRACT, rows=2)
    assert backend.step(features, [0, 1]).shape == (2, 4, CONTRACT.vocab_size + 1)
    with pytest.raises(BackendFailed):
        backend.step(features, [0, 1])


def test_a_batch_beyond_the_largest_goes_in_parts() -> None:
    features = speech_like(CONTRACT, rows=8)
    whole = ScriptedBackend(BackendScript(), BackendSettings(max_slots=8))
    script = BackendScript(fail_after_steps=3)  # eight rows by three are three steps, and the fourth fails
    parted = GuardedBackend(ScriptedBackend(script, BackendSettings(max_slots=8, max_batch=3)))
    slots = [4, 0, 7, 1, 2, 6, 5, 3]
    assert np.array_equal(parted.step(features, slots), whole.step(features, slots))
    with pytest.raises(BackendFailed):
        parted.step(features[:1], [0])


def test_everything_else_is_the_inner_backends() -> None:
    inner = ScriptedBackend(BackendScript(), BackendSettings(max_slots=5, max_batch=3))
    backend = GuardedBackend(inner)
    assert (backend.contract, backend.kind, backend.max_slots) == (inner.contract, inner.kind, inner.max_slots)
    assert (backend.max_batch, backend.memory) == (inner.max_batch, inner.memory)
    assert backend.warm_up() == inner.warm_up()
    backend.close()
    with pytest.raises(BackendFailed):
        inner.step(speech_like(CONTRACT, rows=1), [0])
