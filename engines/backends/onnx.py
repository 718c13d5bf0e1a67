"""A model on ONNX Runtime, over state slots laid out once: what is common to its providers, and the CPU's.

These must stay true: a row's result does not depend on the other rows (engines/backends/invariance.py refuses models
where it does), and one session's state is touched only by its own slot's rows.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engines.backends.graphs.convolutions import lift_convolutions
from engines.backends.graphs.model_graph import GraphUnfit, ModelGraph, read_graph
from engines.backends.graphs.slot_state import READ_ROWS, WRITE_ROWS, State, pool_states
from engines.backends.onnx_plain import PlainSlots
from engines.backends.onnx_pools import HOST, SPARE_ROWS, Device, PooledModel, SlotPools
from engines.backends.step_times import batch_sizes, measure_step_times
from engines.contract import BackendKind, MemoryFigures
from engines.errors import BackendFailed, ModelRejected, RuntimeMissing
from engines.model_files import check_model, find_model_file
from engines.model_header import read_header
from engines.onnx_session import CPU_ONLY, RUNTIME_ERRORS, first_line, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import onnxruntime

    from engines.contract import BackendSettings, FloatArray, ModelContract, StepTime
    from engines.onnx_session import Providers


_PART_NUMBERS = 16
"""How many numbers one thread of a GPU writes of a row of state."""


@dataclass(frozen=True, slots=True)
class Runner:
    """How one of ONNX Runtime's providers is used.

    Attributes:
        provider: the one without which nothing is to run; ONNX Runtime itself would go on without it.
        providers: gives them as a session takes them, the preferred one first, for the inputs that have the batch on
            their first axis: the shape of one row by the input's name.
        device: where state and features lie.
        runs_any_batch: whether every size of batch may be run as it is; otherwise it is filled up to a power of two.
        lifts_convolutions: whether the provider is quicker with images (engines/backends/graphs/convolutions.py).
        records_launches: whether a GPU's launches are recorded once for each size of batch, and then replayed.
    """

    kind: BackendKind
    provider: str
    providers: Callable[[Mapping[str, tuple[int, ...]]], Providers]
    device: Device
    runs_any_batch: bool
    lifts_convolutions: bool
    records_launches: bool = False

    def as_staged(self) -> Runner:
        """Give the same with memory of its own, as a GPU has it, for trying out what GPUs are given."""
        device = self.device._replace(is_staged=True)
        return replace(self, device=device, runs_any_batch=False, lifts_convolutions=False)

    def without_lifting(self) -> Runner:
        return replace(self, lifts_convolutions=False)


ON_CPU = Runner(BackendKind.onnx, CPU_ONLY[0], lambda _: CPU_ONLY, HOST, runs_any_batch=True, lifts_convolutions=True)


class Slots(Protocol):
    """The state of all slots, and steps over it, which raise what ONNX Runtime raises."""

    state_bytes_total: int
    providers: tuple[str, ...]

    def reset(self, slot: int) -> None: ...
    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray: ...
    def close(self) -> None: ...


def open_backend(path: Path | str, settings: BackendSettings) -> OnnxBackend:
    """Check a model and set it up on the CPU.

    Raises:
        ModelRejected: the model's files break the contract.
    """
    contract, model_file = check_model(path), find_model_file(path)
    try:
        return open_pooled(contract, model_file, settings, ON_CPU)
    except GraphUnfit:
        return open_plain(contract, model_file, settings)


def open_pooled(contract: ModelContract, model_file: Path, settings: BackendSettings, runner: Runner) -> OnnxBackend:
    """Set a model up with its state in the graph.

    Raises:
        GraphUnfit: the graph cannot be rewritten; see `open_plain`.
        ModelRejected: the runtime does not load what was written, or has no room for the state.
        RuntimeMissing: the provider is not there, or finds no device.
    """
    largest = settings.largest_batch
    model = pooled_model(contract, model_file, settings, runner)
    if runner.provider not in model.session.get_providers():
        raise RuntimeMissing(str(model_file), [f"{runner.provider} found no GPU, driver or library that it can use"])
    try:
        slots = SlotPools(
            model,
            contract,
            max_slots=settings.max_slots,
            lane_sizes=range(1, largest + 1) if runner.runs_any_batch else batch_sizes(largest),
            device=runner.device,
            records_launches=runner.records_launches,
        )
    except RUNTIME_ERRORS as error:
        mistake = (
            f"the state of {settings.max_slots} streams cannot be laid out on {runner.device}: {first_line(error)}"
        )
        raise ModelRejected(str(model_file), [mistake]) from error
    return OnnxBackend(contract, slots, settings, runner)


def open_plain(contract: ModelContract, model_file: Path, settings: BackendSettings) -> OnnxBackend:
    """Set a model up on the CPU with the graph as the file has it; state is gathered and put back outside.

    Raises:
        ModelRejected: ONNX Runtime does not load it.
    """
    try:
        session = open_session(model_file, threads=settings.threads)
    except RUNTIME_ERRORS as error:
        raise ModelRejected(str(model_file), [f"ONNX Runtime cannot load it: {first_line(error)}"]) from error
    return OnnxBackend(contract, PlainSlots(session, contract, max_slots=settings.max_slots), settings, ON_CPU)


def pooled_model(contract: ModelContract, model_file: Path, settings: BackendSettings, runner: Runner) -> PooledModel:
    """Rewrite the graph and load it. Raises GraphUnfit and ModelRejected."""
    model = read_graph(model_file)
    if runner.lifts_convolutions:
        lift_convolutions(model)
        model = ModelGraph(model.model)
    inputs = [value.name for value in model.graph.input if value.name not in model.initializers]
    outputs = [value.name for value in model.graph.output]
    shapes = contract.cache_channel_shape, contract.cache_time_shape, ()
    states = [State(*names) for names in zip(inputs[2:], outputs[2:], shapes, strict=True)]
    pools = pool_states(
        model,
        states,
        pool_rows=settings.max_slots + SPARE_ROWS,
        kept_outputs=outputs[:1],
        part_numbers=_PART_NUMBERS if runner.device.is_staged else 0,
    )
    row_shapes = {
        inputs[0]: (contract.feature_dim, contract.window_frames),
        **dict.fromkeys((inputs[1], READ_ROWS, WRITE_ROWS), ()),
    }
    session = _load(model, model_file, runner, threads=settings.threads, row_shapes=row_shapes)
    return PooledModel(
        session, inputs[0], inputs[1], outputs[0], tuple((pool.input, pool.output, pool.row_shape) for pool in pools)
    )


def _load(
    model: ModelGraph,
    model_file: Path,
    runner: Runner,
    *,
    threads: int,
    row_shapes: Mapping[str, tuple[int, ...]],
) -> onnxruntime.InferenceSession:
    """Load a rewritten graph; raises ModelRejected and RuntimeMissing."""
    content = model.model.SerializeToString()
    providers = runner.providers(row_shapes)
    try:
        if read_header(model_file).external_files:
            return open_session(content, threads=threads, providers=providers, weights_folder=model_file.parent)
        # A session would keep the bytes that it was given for as long as it lives, all weights among them.
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(content)
            file.flush()
            return open_session(Path(file.name), threads=threads, providers=providers)
    except RUNTIME_ERRORS as error:
        if runner.provider in CPU_ONLY:
            raise ModelRejected(str(model_file), [f"ONNX Runtime cannot load it: {first_line(error)}"]) from error
        # The CPU has run it already: what is missing is the device's.
        raise RuntimeMissing(str(model_file), [f"{runner.provider} cannot run it here: {first_line(error)}"]) from error


class OnnxBackend:
    """Implements `engines.contract.Backend` on one of ONNX Runtime's providers; `providers` are those in use."""

    def __init__(
        self, contract: ModelContract, slots: Slots, settings: BackendSettings, runner: Runner = ON_CPU
    ) -> None:
        self.contract = contract
        self.kind = runner.kind
        self.max_slots = settings.max_slots
        self.max_batch = settings.largest_batch
        self.providers = slots.providers
        self.memory = MemoryFigures(
            device=str(runner.device),
            weights_bytes=contract.weights_bytes,
            state_bytes_per_slot=contract.state_bytes,
            state_bytes_total=slots.state_bytes_total,
        )
        self._slots: Slots | None = slots

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`."""
        return measure_step_times(self)

    def close(self) -> None:
        """See `Backend.close`."""
        if self._slots is not None:
            self._slots.close()
            self._slots = None

    def reset(self, slot: int) -> None:
        """See `Backend.reset`."""
        self._open_slots().reset(slot)

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`."""
        try:
            return self._open_slots().step(features, slots)
        except RUNTIME_ERRORS as error:
            raise BackendFailed(
                f"ONNX Runtime failed in a step of {len(slots)} streams: {first_line(error)}"
            ) from error

    def _open_slots(self) -> Slots:
        if self._slots is None:
            raise BackendFailed("the backend was closed")
        return self._slots
