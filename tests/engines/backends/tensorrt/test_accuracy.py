"""An engine is held against the model's own numbers and pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.tensorrt.accuracy import greedy_pieces, made_up_probe, measured, reference
from engines.backends.tensorrt.half_precision import Level
from engines.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.backends.tensorrt.making import Model
    from engines.contract import FloatArray

pytestmark = pytest.mark.unit


class Replay:
    """Gives the reference again, changed by `change`."""

    def __init__(self, expected: FloatArray, change: Any) -> None:
        self._steps = iter(expected)
        self._change = change

    def reset(self, slot: int) -> None: ...

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        found: FloatArray = self._change(next(self._steps))
        return found


def failing(_rows: FloatArray) -> FloatArray:
    raise BackendFailed("told to")


@pytest.mark.parametrize(
    ("change", "is_good"),
    [
        (lambda rows: rows, True),
        (lambda rows: rows + 0.2, False),
        (lambda rows: rows * np.nan, False),
        (failing, False),
    ],
)
def test_only_an_engine_that_agrees_is_good(change: Any, is_good: bool, model: Model) -> None:
    probe = made_up_probe(model.contract)
    expected = reference(model.file, model.contract, probe)
    found = measured(Replay(expected, change), expected, probe, model.contract, level=Level.half, max_batch=64)
    assert found.is_good is is_good
    assert np.isfinite(found.max_difference)


def test_repetitions_and_blanks_are_no_pieces() -> None:
    rows = np.eye(3, dtype=np.float32)[[[0, 0], [2, 0], [1, 1]]]
    assert greedy_pieces(rows, blank_id=2) == [0, 0, 1]
