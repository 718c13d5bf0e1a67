"""ONNX to a TensorRT plan: parse, one optimisation profile over the batch, build with a timing cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from engines.backends.tensorrt.library import Complaints
from engines.backends.tensorrt.progress import monitor_of
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.api import BuilderConfig, Network, TensorRt
    from engines.backends.tensorrt.batches import BatchRange
    from engines.backends.tensorrt.model_tensors import ModelTensors
    from engines.backends.tensorrt.progress import BuildProgress

DEFAULT_WORKSPACE_BYTES = 4 << 30
"""Scratch memory that one layer may use while tactics are timed, and later at run time."""
_LAYER_DETAILS_BYTES = 1 << 26
"""A longer description than this is not read."""


class BuildOptions(NamedTuple):
    """`timing_cache` is of an earlier build on this GPU; one that TensorRT refuses is left unused."""

    batches: BatchRange
    workspace_bytes: int = DEFAULT_WORKSPACE_BYTES
    timing_cache: bytes = b""
    progress: BuildProgress | None = None


class Plan(NamedTuple):
    """A serialised engine, the timing cache after its build, how long it took, and what TensorRT warned of."""

    content: bytes
    timing_cache: bytes
    build_seconds: float
    network_layers: int
    warnings: tuple[str, ...]


def build_plan(
    library: TensorRt,
    onnx: bytes,
    tensors: ModelTensors,
    *,
    model_file: Path,
    options: BuildOptions,
) -> Plan:
    """Build for the GPU that is current. Takes from seconds to many minutes.

    Args:
        onnx: the model, perhaps rewritten; external weights are sought beside `model_file`.

    Raises:
        ModelRejected: TensorRT does not take the model, or cannot build it; its own words are among the mistakes.
    """
    began_at = time.monotonic()
    batches = options.batches
    complaints = Complaints(library)
    builder = library.Builder(complaints.logger)
    network = builder.create_network(1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(library, network, onnx, complaints, model_file)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(library.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    # TF32 rounds the inputs of fp32 products to 10 bits: what is called fp32 here is.
    config.clear_flag(library.BuilderFlag.TF32)
    # Rows of a product or reduction are computed by the same operations wherever they stand in the batch.
    config.set_flag(library.BuilderFlag.DISTRIBUTIVE_INDEPENDENCE)
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    for tensor in tensors.inputs:
        profile.set_shape(
            tensor.name, tensor.shape(batches.least), tensor.shape(batches.best), tensor.shape(batches.most)
        )
    if config.add_optimization_profile(profile) < 0:
        raise ModelRejected(str(model_file), [f"TensorRT refuses batches of {batches}: {complaints.last_errors()}"])
    cache = _attached_timing_cache(config, options.timing_cache)
    monitor: Any = None
    if options.progress is not None:
        monitor = config.progress_monitor = monitor_of(library, options.progress)
    built = builder.build_serialized_network(network, config)
    del monitor  # held until here: TensorRT keeps no reference of its own
    if built is None:
        raise ModelRejected(str(model_file), [f"TensorRT cannot build it: {complaints.last_errors()}"])
    return Plan(
        bytes(built),
        bytes(cache.serialize()),
        time.monotonic() - began_at,
        network.num_layers,
        tuple(complaints.warnings),
    )


def layers_described(library: TensorRt, plan: bytes) -> str:
    """Give TensorRT's JSON about the layers of a plan, nothing where it has none to give."""
    complaints = Complaints(library)
    runtime = library.Runtime(complaints.logger)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        return ""
    text = engine.create_engine_inspector().get_engine_information(library.LayerInformationFormat.JSON)
    return text if len(text) <= _LAYER_DETAILS_BYTES else ""


def _parse(library: TensorRt, network: Network, onnx: bytes, complaints: Complaints, model_file: Path) -> None:
    parser = library.OnnxParser(network, complaints.logger)
    if parser.parse(onnx, str(model_file)):
        return
    mistakes = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        where = " ".join(part for part in (error.node_operator(), error.node_name()) if part)
        mistakes.append(f"TensorRT does not take {where or 'the model'}: {error.desc()}")
    raise ModelRejected(str(model_file), mistakes or [f"TensorRT does not take it: {complaints.last_errors()}"])


def _attached_timing_cache(config: BuilderConfig, earlier: bytes) -> Any:
    """Attach the earlier cache, or an empty one; give what must live until the build is over."""
    if earlier:
        cache = config.create_timing_cache(earlier)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    cache = config.create_timing_cache(b"")
    config.set_timing_cache(cache, ignore_mismatch=False)
    return cache
