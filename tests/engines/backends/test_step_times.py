"""A warm-up tells step times that rise with the batch, and leaves no trace in any slot."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.backends.load import load_backend
from engines.backends.step_times import batch_sizes, measure_step_times, speech_like
from engines.contract import BackendSettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


@settings(deadline=None)
@given(st.integers(1, 10_000))
def test_batch_sizes_rise_from_one_to_the_largest(max_batch: int) -> None:
    sizes = batch_sizes(max_batch)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, max_batch)
    assert all(later <= 2 * earlier for earlier, later in pairwise(sizes))


def test_times_rise_with_the_batch_and_no_slot_remembers_them(toy_model: Any, tmp_path: Path) -> None:
    backend = load_backend(toy_model.write(tmp_path), BackendSettings(max_slots=6, max_batch=5))
    features = speech_like(backend.contract, rows=5)
    before = backend.step(features, [5, 3, 1, 0, 2]).copy()
    for slot in range(6):
        backend.reset(slot)
    times = measure_step_times(backend)
    assert [entry.batch for entry in times] == [1, 2, 4, 5]
    assert [entry.step_us for entry in times] == sorted(entry.step_us for entry in times)
    assert times[0].step_us > 0
    assert np.array_equal(backend.step(features, [5, 3, 1, 0, 2]), before)
