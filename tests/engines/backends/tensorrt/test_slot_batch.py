"""Slots never share state, whatever steps in which order; graphs give what single calls give."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.step_times import speech_like
from engines.backends.tensorrt.slot_batch import SlotBatch
from engines.errors import BackendFailed
from tests.fakes.host_device import HostDevice
from tests.fakes.host_toolchain import HostPlan

if TYPE_CHECKING:
    from engines.backends.tensorrt.making import Model
    from engines.backends.tensorrt.model_tensors import ModelTensors
    from engines.contract import FloatArray

pytestmark = pytest.mark.unit

SLOTS, STEPS = 6, 3


def make(
    model: Model, tensors: ModelTensors, *, uses_graphs: bool = True, device: HostDevice | None = None
) -> SlotBatch:
    device = device or HostDevice()
    plan = HostPlan(device, model.file.read_bytes(), tensors, lambda rows, _batch: rows)
    return SlotBatch(model.contract, tensors, device, plan, max_slots=SLOTS, buckets=(1, 2, 4), uses_graphs=uses_graphs)


@pytest.fixture(scope="module")
def speech(model: Model) -> FloatArray:
    """(STEPS, SLOTS, window, feature_dim)."""
    return np.stack([speech_like(model.contract, rows=SLOTS, seed=seed) for seed in range(STEPS)])


@pytest.mark.parametrize("uses_graphs", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_no_two_slots_share_state_in_any_order_of_steps(
    seed: int, uses_graphs: bool, model: Model, tensors: ModelTensors, speech: FloatArray
) -> None:
    batch = make(model, tensors, uses_graphs=uses_graphs)
    alone = []
    for slot in range(SLOTS):
        alone.append([batch.step(speech[at, slot][None], [slot])[0] for at in range(STEPS)])
        batch.reset(slot)
    dice = random.Random(seed)
    taken = [0] * SLOTS
    while waiting := [slot for slot in range(SLOTS) if taken[slot] < STEPS]:
        slots = dice.sample(waiting, min(len(waiting), dice.randint(1, 4)))
        rows = batch.step(np.stack([speech[taken[slot], slot] for slot in slots]), slots)
        for slot, row in zip(slots, rows, strict=True):
            assert np.array_equal(row, alone[slot][taken[slot]])
            taken[slot] += 1


def test_a_step_is_one_launch(model: Model, tensors: ModelTensors, speech: FloatArray) -> None:
    device = HostDevice()
    batch = make(model, tensors, device=device)
    batch.step(speech[0, :3], [5, 0, 2])
    assert device.launches == 1


@pytest.mark.parametrize("slots", [[0, 0], [-1, 1], [SLOTS, 1]])
def test_slots_that_are_not_distinct_and_there_are_refused(
    slots: list[int], model: Model, tensors: ModelTensors, speech: FloatArray
) -> None:
    with pytest.raises(BackendFailed, match="distinct and below"):
        make(model, tensors).step(speech[0, :2], slots)


def test_a_driver_that_fails_loses_the_batch(model: Model, tensors: ModelTensors, speech: FloatArray) -> None:
    device = HostDevice()
    batch = make(model, tensors, device=device)
    device.fails_at = 0
    with pytest.raises(BackendFailed):
        batch.step(speech[0, :1], [0])


def test_features_of_another_shape_are_refused(model: Model, tensors: ModelTensors, speech: FloatArray) -> None:
    with pytest.raises(BackendFailed, match="reads"):
        make(model, tensors).step(speech[0, :1, :-1], [0])
