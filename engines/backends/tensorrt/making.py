"""From a model to an engine file: build, hold against ONNX Runtime, go up in precision until the words are right."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engines.backends.tensorrt.accuracy import made_up_probe, measured, reference
from engines.backends.tensorrt.batches import BatchRange, bucket_sizes
from engines.backends.tensorrt.builder import DEFAULT_WORKSPACE_BYTES, BuildOptions
from engines.backends.tensorrt.engine_files import (
    EngineFile,
    EngineKey,
    default_folder,
    engine_path,
    read_engine,
    read_timing_cache,
    timing_path,
    usable_keys,
    write_engine,
    write_timing_cache,
)
from engines.backends.tensorrt.half_precision import LADDER, Precision, with_half_layers
from engines.backends.tensorrt.model_tensors import ModelTensors, read_tensors
from engines.backends.tensorrt.report import MAX_NAMED, AccuracyFigures, BuildReport, layer_figures
from engines.backends.tensorrt.slot_batch import SlotBatch
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.accuracy import Probe
    from engines.backends.tensorrt.builder import Plan
    from engines.backends.tensorrt.half_precision import Halved, Level
    from engines.backends.tensorrt.progress import BuildProgress
    from engines.backends.tensorrt.toolchain import Toolchain
    from engines.contract import FloatArray, ModelContract


class Model(NamedTuple):
    """A checked model: `contract` was read from `file`."""

    contract: ModelContract
    file: Path


class EngineRequest(NamedTuple):
    """What to build. `folder` None: engine files lie beside the model. `probe` None: made-up features."""

    batches: BatchRange
    precision: Precision = Precision.fp32
    folder: Path | None = None
    workspace_bytes: int = DEFAULT_WORKSPACE_BYTES
    probe: Probe | None = None


class Made(NamedTuple):
    """`is_new`: it was built for this; else it was there already."""

    file: EngineFile
    is_new: bool


def make_engine(
    toolchain: Toolchain, model: Model, request: EngineRequest, *, progress: BuildProgress | None = None
) -> Made:
    """Give the engine file that is asked for, from the folder if it is there and in order, else built.

    Raises:
        ModelRejected: TensorRT does not take the model, no precision gives its words, or the file cannot be written.
        BackendFailed: the device failed.
    """
    folder = request.folder or default_folder(model.file)
    key = EngineKey(
        model_digest=model.contract.version,
        machine=toolchain.machine,
        batches=request.batches,
        precision=request.precision,
    )
    path = engine_path(folder, model.contract.name, key)
    refusals: tuple[str, ...] = ()
    if path.exists():
        try:
            return Made(read_engine(path, key), is_new=False)
        except ModelRejected as refused:
            refusals = tuple(refused.mistakes)
    plan, report = _Making(toolchain, model, request, folder).run(progress)
    report = msgspec.structs.replace(report, rebuilt_because=refusals)
    written = msgspec.json.decode(msgspec.json.encode(report))
    try:
        write_engine(path, key, plan=plan.content, report=written)
    except OSError as error:
        raise ModelRejected(str(path), [f"the engine file cannot be written: {error.strerror or error}"]) from error
    return Made(EngineFile(path, key, written, plan.content), is_new=True)


class _Making:
    def __init__(self, toolchain: Toolchain, model: Model, request: EngineRequest, folder: Path) -> None:
        self._toolchain = toolchain
        self._model = model
        self._request = request
        self._timing_path = timing_path(folder, toolchain.machine)
        self._tensors: ModelTensors = read_tensors(model.file, model.contract)

    def run(self, progress: BuildProgress | None) -> tuple[Plan, BuildReport]:
        """Try the levels of the ladder, least exact first."""
        model, request = self._model, self._request
        probe = request.probe or made_up_probe(model.contract)
        expected = reference(model.file, model.contract, probe)
        onnx = model.file.read_bytes()
        rejected: dict[str, AccuracyFigures] = {}
        for level in LADDER[request.precision]:
            halved = with_half_layers(onnx, level, path=str(model.file))
            plan = self._build(halved, progress)
            figures = self._measure(plan, expected, probe, level)
            if figures.is_good:
                return plan, self._report(level, halved, plan, figures, rejected)
            rejected[level] = figures
        raise ModelRejected(
            str(model.file),
            [
                f"TensorRT does not give what ONNX Runtime gives: at the level {level} log-probabilities differ by "
                f"{figures.max_difference:.3g} (at most {figures.tolerance}), "
                f"the pieces are {'equal' if figures.are_pieces_equal else 'not equal'}"
                for level, figures in rejected.items()
            ],
        )

    def _build(self, halved: Halved, progress: BuildProgress | None) -> Plan:
        machine = self._toolchain.machine
        earlier = read_timing_cache(self._timing_path, machine)
        options = BuildOptions(self._request.batches, self._request.workspace_bytes, earlier, progress)
        plan = self._toolchain.build(halved.content, self._tensors, model_file=self._model.file, options=options)
        try:
            write_timing_cache(self._timing_path, machine, plan.timing_cache)
        except OSError as error:
            mistake = f"the timing cache cannot be written: {error.strerror or error}"
            raise ModelRejected(str(self._timing_path), [mistake]) from error
        return plan

    def _measure(self, plan: Plan, expected: FloatArray, probe: Probe, level: Level) -> AccuracyFigures:
        """Run the plan over the probe, at its largest size, without recorded graphs."""
        streams = probe.windows.shape[1]
        largest = max(bucket_sizes(self._request.batches, max_batch=self._request.batches.most))
        with closing(self._toolchain.open_device()) as device:
            path = str(self._model.file)
            loaded = self._toolchain.load(device, plan.content, self._tensors, path=path)
            with closing(loaded):
                batch = SlotBatch(
                    self._model.contract,
                    self._tensors,
                    device,
                    loaded,
                    max_slots=max(largest, streams),
                    buckets=(largest,),
                    uses_graphs=False,
                )
                with closing(batch):
                    return measured(batch, expected, probe, self._model.contract, level=level, max_batch=largest)

    def _report(
        self, level: Level, halved: Halved, plan: Plan, figures: AccuracyFigures, rejected: dict[str, AccuracyFigures]
    ) -> BuildReport:
        return BuildReport(
            precision=self._request.precision,
            level=level,
            half_layers=halved.half_layers[:MAX_NAMED],
            full_layers=halved.full_layers[:MAX_NAMED],
            half_count=len(halved.half_layers),
            full_count=len(halved.full_layers),
            accuracy=figures,
            rejected_levels=rejected,
            layers=layer_figures(self._toolchain.describe(plan.content)),
            network_layers=plan.network_layers,
            onnx_bytes=len(halved.content),
            plan_bytes=len(plan.content),
            build_seconds=round(plan.build_seconds, 3),
            timing_cache_bytes=len(plan.timing_cache),
            warnings=plan.warnings,
        )


def found_or_made(toolchain: Toolchain, model: Model, *, max_batch: int, folder: Path | None) -> EngineFile:
    """Give an engine file that takes every batch up to `max_batch`: the best there is, else one built in fp32.

    A file that turns out to be damaged is passed over.

    Raises:
        as make_engine.
    """
    where = folder or default_folder(model.file)
    for path, key in usable_keys(
        where, model_digest=model.contract.version, machine=toolchain.machine, max_batch=max_batch
    ):
        try:
            return read_engine(path, key)
        except ModelRejected:
            continue
    request = EngineRequest(BatchRange(1, max_batch, max_batch), Precision.fp32, where)
    return make_engine(toolchain, model, request).file
