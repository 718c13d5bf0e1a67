"""A backend in which a stream's numbers depend on its batch or its slot is found out before anybody speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.invariance import batch_tolerance, invariance_mistakes
from engines.backends.load import load_backend
from engines.backends.scripted import CONTRACT, BackendScript, ScriptedBackend, Wrongness
from engines.backends.step_times import speech_like
from engines.contract import BackendSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

SETTINGS = BackendSettings(max_slots=6)


class Forgetful(ScriptedBackend):
    """Never forgets slot 3 when it is told to."""

    def reset(self, slot: int) -> None:
        if slot != 3:
            super().reset(slot)


class Drifting(ScriptedBackend):
    """Adds a little to each row for each of its neighbours."""

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        rows: FloatArray = super().step(features, slots) + np.float32(1e-4 * len(slots))
        return rows


def test_a_backend_that_keeps_streams_apart_passes_and_forgets_the_trial() -> None:
    backend = ScriptedBackend(BackendScript(), SETTINGS)
    features = speech_like(CONTRACT, rows=6)
    before = backend.step(features, range(6))
    for slot in range(6):
        backend.reset(slot)
    assert invariance_mistakes(backend) == []
    assert np.array_equal(backend.step(features, range(6)), before)


@pytest.mark.parametrize("kind", [Forgetful, Drifting])
def test_a_backend_that_does_not_is_refused(kind: type[ScriptedBackend]) -> None:
    (mistake,) = invariance_mistakes(kind(BackendScript(), SETTINGS))
    assert mistake.startswith("a stream's results must not depend on who shares its batch")


@pytest.mark.parametrize("wrong", list(Wrongness))
def test_a_backend_that_is_wrong_in_any_way_is_refused(wrong: Wrongness) -> None:
    assert invariance_mistakes(ScriptedBackend(BackendScript(wrong_after_steps=11, wrong=wrong), SETTINGS))


def test_a_backend_that_fails_is_refused_with_its_reason() -> None:
    assert invariance_mistakes(ScriptedBackend(BackendScript(fail_after_steps=3), SETTINGS)) == [
        "it cannot be run: the script says so"
    ]


@pytest.mark.parametrize(("slots", "largest"), [(1, 0), (2, 1), (9, 4)])
def test_a_backend_of_any_size_is_tried(toy_model: Any, tmp_path: Path, slots: int, largest: int) -> None:
    backend = load_backend(toy_model.write(tmp_path), BackendSettings(max_slots=slots, max_batch=largest))
    assert invariance_mistakes(backend) == []
    assert batch_tolerance(backend) == 0
