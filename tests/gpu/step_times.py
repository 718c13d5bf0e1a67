"""How long a step takes on this machine's GPU, beside ONNX Runtime on its CPU in the same run.

    python -m tests.gpu.step_times onnx-one-thread onnx-cuda slots-on-cuda tensorrt tensorrt-plain tensorrt-fp16

Each step is timed from the call to the log-probabilities in the host's memory, over streams in random slots. Each way
to run the model is also held against ONNX Runtime's CPU on made-up features (engines/backends/tensorrt/accuracy.py).
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.backends.load import load_backend
from engines.backends.onnx_cuda import PROVIDER, cuda_runner, open_on_device, require_provider
from engines.backends.step_times import speech_like
from engines.backends.tensorrt.accuracy import Probe, measured, reference
from engines.backends.tensorrt.backend import TensorRtBackend
from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.half_precision import Level, Precision
from engines.backends.tensorrt.making import EngineRequest, Model, make_engine
from engines.backends.tensorrt.toolchain import TensorRtToolchain
from engines.contract import BackendKind, BackendSettings
from engines.errors import EngineError
from engines.model_files import check_model, find_model_file
from tests.contracts.model_variants import EMBEDDED_MODEL
from tests.gpu.onnx_plans import OnnxPlanToolchain

if TYPE_CHECKING:
    from engines.contract import Backend

SIZES = (1, 8, 32, 128)
WARM_UP_STEPS, MAX_STEPS, MAX_SECONDS = 10, 200, 4.0
_PROBE_STREAMS, _PROBE_STEPS = 32, 6


def open_way(way: str, model: Model, folder: Path) -> Backend:
    """Open one way to run the model; `plain` in it leaves out recorded graphs, `slots-on-cuda` is of onnx_plans.py."""
    settings = BackendSettings(
        kind=BackendKind.onnx, max_slots=max(SIZES), cache_folder=str(folder), threads=0 if way == "onnx" else 1
    )
    if way in ("onnx", "onnx-one-thread"):
        return load_backend(model.file, settings)
    require_provider(model.file, PROVIDER)
    if way == "onnx-cuda":
        return open_on_device(model.contract, model.file, settings, cuda_runner(settings))
    if way == "slots-on-cuda":
        return TensorRtBackend(OnnxPlanToolchain(), model, settings, uses_graphs=False)
    toolchain = TensorRtToolchain(0)
    precision = Precision.fp16 if "fp16" in way else Precision.fp32
    made = make_engine(toolchain, model, EngineRequest(BatchRange(1, 32, max(SIZES)), precision, folder))
    report = made.file.report
    print({key: report[key] for key in ("level", "build_seconds", "plan_bytes", "layers", "rejected_levels")})
    return TensorRtBackend(toolchain, model, settings, uses_graphs="plain" not in way)


def step_ms(backend: Backend, streams: int) -> list[float]:
    """Give the times of steps of so many streams, sorted."""
    dice = random.Random(streams)
    features = speech_like(backend.contract, rows=streams)
    found: list[float] = []
    ends_at = time.perf_counter() + MAX_SECONDS
    while len(found) < WARM_UP_STEPS + MAX_STEPS and time.perf_counter() < ends_at:
        slots = dice.sample(range(backend.max_slots), streams)
        began_at = time.perf_counter()
        backend.step(features, slots)
        found.append((time.perf_counter() - began_at) * 1_000)
    return sorted(found[WARM_UP_STEPS:])


def show(way: str, model: Model) -> None:
    probe = Probe(
        np.stack([speech_like(model.contract, rows=_PROBE_STREAMS, seed=seed) for seed in range(_PROBE_STEPS)]),
        "made-up features",
    )
    with tempfile.TemporaryDirectory() as folder:
        began_at = time.perf_counter()
        backend = open_way(way, model, Path(folder))
        opened_s = time.perf_counter() - began_at
        with contextlib.closing(backend):
            sizes = getattr(backend, "batch_sizes", "any")
            print(f"{way}: opened in {opened_s:.1f} s, largest batch {backend.max_batch}, sizes {sizes}")
            for streams in SIZES:
                if streams > backend.max_batch:
                    continue
                times = step_ms(backend, streams)
                low, middle, high = (times[len(times) * share // 100] for share in (5, 50, 95))
                print(
                    f"{way}: {streams:4} streams  median {middle:8.3f} ms  (5 % {low:.3f}, 95 % {high:.3f}), "
                    f"{len(times)} steps"
                )
            expected = reference(model.file, model.contract, probe)
            figures = measured(
                backend,
                expected,
                probe,
                model.contract,
                level=Level.full,
                max_batch=min(_PROBE_STREAMS, backend.max_batch),
            )
            pieces = "equal" if figures.are_pieces_equal else "NOT equal"
            print(f"{way}: log-probabilities differ by {figures.max_difference:.2e} at most, pieces {pieces}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("ways", nargs="+")
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL)
    chosen = parser.parse_args()
    model = Model(check_model(chosen.model), find_model_file(chosen.model))
    for way in chosen.ways:
        try:
            show(way, model)
        except EngineError as failed:
            print(f"{way}: not run: {getattr(failed, 'mistakes', failed)}")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
