"""Rows that are misshapen lose their batch, rows that are not finite their stream; they never become words."""

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
from engines.errors import BackendFailed, RowsFailed

if TYPE_CHECKING:
    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

SHAPE = (3, 4, CONTRACT.vocab_size + 1)


@settings(deadline=None)
@given(st.integers(0, int(np.prod(SHAPE)) - 1), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_whatever_is_not_finite_is_found_wherever_it_is(place: int, value: float) -> None:
    rows: FloatArray = np.full(SHAPE, -2.0, np.float32)
    slots = [7, 5, 9]
    check_rows(rows, CONTRACT, slots)
    rows.reshape(-1)[place] = value
    with pytest.raises(RowsFailed, match="not finite for 1 of 3 streams") as failure:
        check_rows(rows, CONTRACT, slots)
    assert failure.value.slots == [slots[place * 3 // rows.size]]
    assert failure.value.rows is rows


def test_numbers_that_cancel_out_do_not_hide_an_infinity() -> None:
    rows: FloatArray = np.full(SHAPE, -2.0, np.float32)
    rows[1, 0, 0], rows[1, 0, 1] = np.inf, -np.inf
    with pytest.raises(RowsFailed):
        check_rows(rows, CONTRACT, [0, 1, 2])


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


def test_a_stream_that_fails_in_one_part_is_lost_alone() -> None:
    script = BackendScript(wrong_after_steps=1, wrong=Wrongness.nan)
    whole = ScriptedBackend(BackendScript(), BackendSettings(max_slots=4))
    parted = GuardedBackend(ScriptedBackend(script, BackendSettings(max_slots=4, max_batch=2)))
    features = speech_like(CONTRACT, rows=4)
    with pytest.raises(RowsFailed) as failure:
        parted.step(features, [3, 1, 0, 2])
    right = whole.step(features, [3, 1, 0, 2])
    good = [number for number, slot in enumerate([3, 1, 0, 2]) if slot not in failure.value.slots]
    assert 0 < len(good) < 4
    assert np.array_equal(failure.value.rows[good], right[good])


def test_everything_else_is_the_inner_backends() -> None:
    inner = ScriptedBackend(BackendScript(), BackendSettings(max_slots=5, max_batch=3))
    backend = GuardedBackend(inner)
    assert (backend.contract, backend.kind, backend.max_slots) == (inner.contract, inner.kind, inner.max_slots)
    assert (backend.max_batch, backend.memory) == (inner.max_batch, inner.memory)
    assert backend.warm_up() == inner.warm_up()
    backend.close()
    with pytest.raises(BackendFailed):
        inner.step(speech_like(CONTRACT, rows=1), [0])
