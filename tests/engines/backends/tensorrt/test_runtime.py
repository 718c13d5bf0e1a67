"""A plan is used only if its inputs and outputs are the model's; every refusal is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.tensorrt.runtime import TensorRtPlan
from engines.errors import BackendFailed, ModelRejected
from tests.fakes.host_device import HostDevice
from tests.fakes.tensorrt_module import Engine, FakeTensorRt

if TYPE_CHECKING:
    from engines.backends.tensorrt.model_tensors import ModelTensors

pytestmark = pytest.mark.unit


def tensors_of(tensors: ModelTensors) -> list[tuple[str, bool, str, tuple[int, ...]]]:
    return [
        (tensor.name, is_input, "int64" if tensor.is_integer else "float", (-1, *tensor.row_shape))
        for is_input, group in ((True, tensors.inputs), (False, tensors.outputs))
        for tensor in group
    ]


def load(engine: Engine | None, tensors: ModelTensors) -> TensorRtPlan:
    return TensorRtPlan(FakeTensorRt(engine=engine), HostDevice(), b"plan", tensors, path="x.engine")


def test_a_plan_runs_in_the_devices_stream_at_the_given_addresses(tensors: ModelTensors) -> None:
    engine = Engine(tensors_of(tensors))
    plan = load(engine, tensors)
    addresses = {name: 256 * place for place, (name, *_) in enumerate(tensors_of(tensors))}
    plan.execution(4, addresses).enqueue()
    assert engine.contexts[0].addresses == addresses
    assert engine.contexts[0].runs == [0]
    assert (plan.weights_bytes, plan.activation_bytes) == (1_000, 512)
    plan.close()


def test_an_input_that_the_plan_dropped_is_not_bound(tensors: ModelTensors) -> None:
    kept = [entry for entry in tensors_of(tensors) if entry[0] != tensors.lengths.name]
    engine = Engine(kept)
    load(engine, tensors).execution(1, dict.fromkeys((name for name, *_ in kept), 0))
    assert tensors.lengths.name not in engine.contexts[0].addresses


def test_a_batch_beyond_the_profile_is_refused(tensors: ModelTensors) -> None:
    plan = load(Engine(tensors_of(tensors)), tensors)
    with pytest.raises(ModelRejected, match="not a batch of 9"):
        plan.execution(9, dict.fromkeys((name for name, *_ in tensors_of(tensors)), 0))


def test_a_step_that_fails_loses_the_batch(tensors: ModelTensors) -> None:
    engine = Engine(tensors_of(tensors))
    execution = load(engine, tensors).execution(1, dict.fromkeys((name for name, *_ in tensors_of(tensors)), 0))
    engine.contexts[0].fails = True
    with pytest.raises(BackendFailed):
        execution.enqueue()


def test_a_plan_of_something_else_is_refused(tensors: ModelTensors) -> None:
    with pytest.raises(ModelRejected, match="refuses the plan"):
        load(None, tensors)
    name, is_input, _, shape = tensors_of(tensors)[0]
    with pytest.raises(ModelRejected) as refused:
        load(Engine([("foreign", True, "float", (1,)), (name, is_input, "half", (*shape, 1))]), tensors)
    assert len(refused.value.mistakes) == 1 + 2 + 7
