"""The configuration of a model in a Triton repository, in protobuf's text format. PURE.

Fields are those of model_config.proto, github.com/triton-inference-server/common.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from engines.backends.triton.served_contract import MIN_IDLE_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engines.contract import ModelContract

_VERSION_HEX_DIGITS = 15
"""60 bits: Triton reads the name of a version folder as an int64."""


class TritonRuntime(StrEnum):
    """Which of Triton's backends runs the model."""

    python = "python"
    """ONNX Runtime on the CPU inside Triton's Python backend; state is kept by served_model.py."""
    onnxruntime = "onnxruntime"
    """Triton's ONNX Runtime backend; Triton keeps the state, on the GPU if there is one."""


@dataclass(frozen=True, slots=True)
class EntryOptions:
    """How Triton runs the model.

    Attributes:
        sequences: that each instance advances at once; leave room for those of an engine that died, which count until
            their idle time is over.
        max_batch: rows of one run.
        queue_delay_us: how long Triton waits for a fuller batch.
        threads: of one run, in the Python backend.
        gpu: which GPU; None runs on the CPU.
    """

    runtime: TritonRuntime = TritonRuntime.python
    sequences: int = 64
    max_batch: int = 32
    idle_ms: int = MIN_IDLE_MS
    queue_delay_us: int = 500
    instances: int = 1
    threads: int = 1
    gpu: int | None = None


@dataclass(frozen=True, slots=True)
class StateTensor:
    """A state that Triton keeps: the model's input and output for it, its type as Triton names it, and its shape."""

    input_name: str
    output_name: str
    data_type: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EntryTensors:
    """Names of the one input and the one output; without states the model is told which sequence a row is of."""

    features: str
    log_probabilities: str
    states: Sequence[StateTensor] = ()


def version_number(contract: ModelContract) -> str:
    """Give the name of the version folder: the digest's first 60 bits, as Triton wants a number above 0."""
    return str(int(contract.version[:_VERSION_HEX_DIGITS], 16) or 1)


def entry_config(
    name: str, contract: ModelContract, options: EntryOptions, tensors: EntryTensors, parameters: Mapping[str, str]
) -> str:
    """Write config.pbtxt, in ASCII."""
    window = f"{contract.feature_dim}, {contract.window_frames}"
    rows = f"{contract.shift_frames // contract.subsampling}, {contract.vocab_size + 1}"
    place = "kind: KIND_CPU" if options.gpu is None else f"kind: KIND_GPU gpus: [ {options.gpu} ]"
    lines = [
        f"name: {_quoted(name)}",
        f"backend: {_quoted(options.runtime)}",
        f"max_batch_size: {options.max_batch}",
        f"version_policy {{ specific {{ versions: [ {version_number(contract)} ] }} }}",
        f"instance_group [ {{ count: {options.instances} {place} }} ]",
        f"input [ {{ name: {_quoted(tensors.features)} data_type: TYPE_FP32 dims: [ {window} ] }} ]",
        f"output [ {{ name: {_quoted(tensors.log_probabilities)} data_type: TYPE_FP32 dims: [ {rows} ] }} ]",
        "sequence_batching {",
        f"  max_sequence_idle_microseconds: {options.idle_ms * 1_000}",
        f"  oldest {{ max_candidate_sequences: {options.sequences} preferred_batch_size: [ {options.max_batch} ]"
        f" max_queue_delay_microseconds: {options.queue_delay_us} }}",
        *(_states(tensors.states) if tensors.states else _controls()),
        "}",
        *(
            f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
            for key, value in sorted(parameters.items())
        ),
    ]
    return "\n".join(lines) + "\n"


def _controls() -> list[str]:
    flags = [
        f'  control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{name} int32_false_true: [ 0, 1 ] }} }}'
        for name in ("START", "END", "READY")
    ]
    sequence = "kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64"
    return [*flags, f'  control_input {{ name: "CORRID" control {{ {sequence} }} }}']


def _states(states: Sequence[StateTensor]) -> list[str]:
    """Declare each state; a sequence begins with zeros."""
    return [
        f"  state {{ input_name: {_quoted(state.input_name)} output_name: {_quoted(state.output_name)}"
        f" data_type: {state.data_type} dims: {list(state.shape)}"
        f' initial_state {{ name: "zeros" data_type: {state.data_type} dims: {list(state.shape)} zero_data: true }} }}'
        for state in states
    ]


def _quoted(text: str) -> str:
    """Write a string of protobuf's text format: bytes that are not plain ASCII as three octal digits."""
    plain = {byte: chr(byte) for byte in range(0x20, 0x7F)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
    return '"' + "".join(plain.get(byte) or f"\\{byte:03o}" for byte in text.encode()) + '"'
