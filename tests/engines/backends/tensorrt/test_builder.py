"""A plan is built with the profile, flags and timing cache that are asked for; refusals carry TensorRT's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.builder import BuildOptions, build_plan, layers_described
from engines.backends.tensorrt.progress import BuildProgress, Phase
from engines.errors import ModelRejected
from tests.fakes.tensorrt_module import Engine, FakeTensorRt

if TYPE_CHECKING:
    from engines.backends.tensorrt.builder import Plan
    from engines.backends.tensorrt.making import Model
    from engines.backends.tensorrt.model_tensors import ModelTensors

pytestmark = pytest.mark.unit


def build(library: FakeTensorRt, model: Model, tensors: ModelTensors, **options: object) -> Plan:
    chosen = BuildOptions(BatchRange(1, 4, 8), workspace_bytes=1_024)._replace(**options)  # type: ignore[arg-type]
    return build_plan(library, b"onnx", tensors, model_file=model.file, options=chosen)


def test_a_plan_has_one_profile_over_the_batch_and_exact_arithmetic(model: Model, tensors: ModelTensors) -> None:
    library = FakeTensorRt()
    plan = build(library, model, tensors)
    assert (plan.content, plan.network_layers) == (b"plan of onnx", 3)
    assert library.config.flags == {"TF32": False, "DISTRIBUTIVE_INDEPENDENCE": True}
    assert library.config.workspace == 1_024
    assert set(library.config.shapes) == {tensor.name for tensor in tensors.inputs}
    assert library.config.shapes[tensors.features.name] == tuple(tensors.features.shape(size) for size in (1, 4, 8))


@pytest.mark.parametrize(("earlier", "kept"), [(b"", b"+"), (b"timed", b"timed+"), (b"foreign", b"+")])
def test_a_timing_cache_is_used_unless_it_is_foreign(
    earlier: bytes, kept: bytes, model: Model, tensors: ModelTensors
) -> None:
    assert build(FakeTensorRt(), model, tensors, timing_cache=earlier).timing_cache == kept


def test_progress_is_told(model: Model, tensors: ModelTensors) -> None:
    told: list[tuple[Phase, ...]] = []
    build(FakeTensorRt(), model, tensors, progress=BuildProgress(told.append))
    assert told == [(Phase("building", 0, 0, 2),), (Phase("building", 0, 1, 2),), ()]


def test_a_build_that_fails_says_why(model: Model, tensors: ModelTensors) -> None:
    with pytest.raises(ModelRejected, match="cannot build it: no tactic was found"):
        build(FakeTensorRt(builds=False), model, tensors)


def test_a_model_that_cannot_be_parsed_names_the_operator(model: Model, tensors: ModelTensors) -> None:
    library = FakeTensorRt()
    library.parses = False
    with pytest.raises(ModelRejected, match="does not take Foo /foo: no such operator"):
        build(library, model, tensors)


def test_layers_are_described_where_the_plan_loads() -> None:
    assert layers_described(FakeTensorRt(engine=Engine([])), b"") == '{"Layers": ["a", "b"]}'
    assert layers_described(FakeTensorRt(), b"") == ""
