"""Pools are laid out once; a batch fills its lane, and what fills up a lane is never heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.onnx import ON_CPU, pooled_model
from engines.backends.onnx_pools import HOST, Device, SlotPools
from engines.backends.step_times import speech_like
from engines.contract import BackendSettings, ModelContract
from engines.model_files import check_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.unit

SLOTS = 6
STAGED = Device("cpu", 0, is_staged=True)


@pytest.fixture(scope="module")
def contract(embedded_model: Path) -> ModelContract:
    return check_model(embedded_model)


@pytest.fixture(scope="module", params=[HOST, STAGED], ids=["host", "staged"])
def make_pools(contract: ModelContract, embedded_model: Path, request: pytest.FixtureRequest) -> object:
    model = pooled_model(contract, embedded_model / "model.onnx", BackendSettings(max_slots=SLOTS), ON_CPU)

    def make(lane_sizes: Sequence[int]) -> SlotPools:
        return SlotPools(model, contract, max_slots=SLOTS, lane_sizes=lane_sizes, device=request.param)

    return make


def test_a_batch_that_is_filled_up_gives_what_it_gives_by_itself(contract: ModelContract, make_pools: object) -> None:
    assert callable(make_pools)
    exact, filled = make_pools(range(1, SLOTS + 1)), make_pools([4, SLOTS])
    for step, slots in enumerate(([5], [0, 5, 2], [1, 2, 3, 4, 5], [3], [0, 5])):
        features = speech_like(contract, rows=len(slots), seed=step)
        assert np.array_equal(filled.step(features, slots), exact.step(features, slots))


def test_what_fills_a_lane_up_leaves_no_trace_in_any_slot(contract: ModelContract, make_pools: object) -> None:
    assert callable(make_pools)
    pools = make_pools([SLOTS])
    loud = np.full((SLOTS, contract.window_frames, contract.feature_dim), 30, np.float32)
    pools.step(loud, range(SLOTS))
    features = speech_like(contract, rows=1)
    for slot in range(SLOTS):
        pools.reset(slot)
    first = [pools.step(features, [slot]) for slot in range(SLOTS)]
    assert all(np.array_equal(rows, first[0]) for rows in first)


def test_a_reset_costs_nothing_and_forgets_everything(contract: ModelContract, make_pools: object) -> None:
    assert callable(make_pools)
    pools = make_pools([1])
    features = speech_like(contract, rows=1)
    fresh = pools.step(features, [2])
    assert not np.array_equal(pools.step(features, [2]), fresh)
    pools.reset(2)
    pools.reset(2)
    assert np.array_equal(pools.step(features, [2]), fresh)


def test_two_rows_more_than_slots_are_laid_out(contract: ModelContract, make_pools: object) -> None:
    assert callable(make_pools)
    assert make_pools([1]).state_bytes_total == (SLOTS + 2) * contract.state_bytes


def test_devices_are_named_as_people_name_them() -> None:
    assert (str(HOST), str(Device("cuda", 1, is_staged=True))) == ("cpu", "cuda:1")
