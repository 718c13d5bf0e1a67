"""Writes the entry of a checked model into a Triton model repository: configuration, version folder, model files.

    python -m engines.backends.triton.repository MODEL REPOSITORY [--backend python|onnxruntime] ...

The version folder's number is made of the digest, so that a model that was exchanged cannot answer for the one that an
engine checked.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from engines.backends.triton.implicit_state import with_implicit_state
from engines.backends.triton.served_contract import DIGEST, MIN_IDLE_MS, TOKENS, WEIGHTS_BYTES
from engines.errors import ModelRejected
from engines.model_files import MODEL_FILE, TOKENS_FILE, check_model, find_model_file
from engines.model_header import read_header
from engines.onnx_session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.backends.triton.implicit_state import StatefulModel
    from engines.contract import ModelContract

_SERVED_MODEL = Path(__file__).with_name("served_model.py")
_VERSION_HEX_DIGITS = 15
"""60 bits: Triton reads the name of a version folder as an int64."""
_REJECTED = 65


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


def write_entry(model: Path | str, repository: Path, options: EntryOptions, *, name: str = "") -> Path:
    """Write the entry beside its place, then move it there; give its folder. One that is there is replaced.

    Args:
        name: of the model at the server; by default the model's own.

    Raises:
        ModelRejected: the model breaks the contract.
        OSError: the repository cannot be written.
    """
    contract = check_model(model)
    model_file = find_model_file(model)
    name = name or contract.name
    entry, partial = repository / name, repository / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    version_folder = partial / version_number(contract)
    version_folder.mkdir(parents=True)
    for location in sorted(read_header(model_file).external_files):
        (version_folder / location).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model_file.parent / location, version_folder / location)
    if options.runtime is TritonRuntime.python:
        shutil.copyfile(_SERVED_MODEL, version_folder / "model.py")
        shutil.copyfile(model_file, version_folder / MODEL_FILE)
        tensors = _tensors("features", "log_probabilities", contract) + _controls()
    else:
        stateful = with_implicit_state(
            model_file.read_bytes(),
            window_frames=contract.window_frames,
            cache_channel_shape=contract.cache_channel_shape,
            cache_time_shape=contract.cache_time_shape,
        )
        (version_folder / MODEL_FILE).write_bytes(stateful.content)
        tensors = _tensors(stateful.features_input, stateful.log_probabilities_output, contract)
        tensors += _states(stateful)
    configuration = _configuration(name, contract, options, tensors, _parameters(model_file, contract, options))
    (partial / "config.pbtxt").write_text(configuration, encoding="ascii")
    shutil.rmtree(entry, ignore_errors=True)
    partial.rename(entry)
    return entry


def version_number(contract: ModelContract) -> str:
    """Give the name of the version folder: the digest's first 60 bits, as Triton wants a number."""
    return str(int(contract.version[:_VERSION_HEX_DIGITS], 16) or 1)


def _parameters(model_file: Path, contract: ModelContract, options: EntryOptions) -> dict[str, str]:
    """Give what the engine reads back: the file's own metadata and what lies beside it."""
    metadata = open_session(model_file, threads=1).get_modelmeta().custom_metadata_map
    own = {
        TOKENS: (model_file.parent / TOKENS_FILE).read_text(encoding="utf-8"),
        DIGEST: contract.version,
        WEIGHTS_BYTES: str(model_file.stat().st_size),
        "threads": str(options.threads),
    }
    return metadata | own


def _configuration(
    name: str, contract: ModelContract, options: EntryOptions, tensors: str, parameters: dict[str, str]
) -> str:
    place = "kind: KIND_CPU" if options.gpu is None else f"kind: KIND_GPU gpus: [ {options.gpu} ]"
    told = "\n".join(
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in sorted(parameters.items())
    )
    scheduling = (
        f"  max_sequence_idle_microseconds: {options.idle_ms * 1_000}\n"
        f"  oldest {{ max_candidate_sequences: {options.sequences} preferred_batch_size: [ {options.max_batch} ]"
        f" max_queue_delay_microseconds: {options.queue_delay_us} }}\n"
    )
    outside, inside = tensors.split("\f")
    return (
        f"name: {_quoted(name)}\n"
        f"backend: {_quoted(options.runtime)}\n"
        f"max_batch_size: {options.max_batch}\n"
        f"version_policy {{ specific {{ versions: [ {version_number(contract)} ] }} }}\n"
        f"instance_group [ {{ count: {options.instances} {place} }} ]\n"
        f"{outside}sequence_batching {{\n{scheduling}{inside}}}\n{told}\n"
    )


def _tensors(features: str, log_probabilities: str, contract: ModelContract) -> str:
    outputs = contract.shift_frames // contract.subsampling
    window = f"{contract.feature_dim}, {contract.window_frames}"
    rows = f"{outputs}, {contract.vocab_size + 1}"
    return (
        f"input [ {{ name: {_quoted(features)} data_type: TYPE_FP32 dims: [ {window} ] }} ]\n"
        f"output [ {{ name: {_quoted(log_probabilities)} data_type: TYPE_FP32 dims: [ {rows} ] }} ]\n\f"
    )


def _controls() -> str:
    flags = "".join(
        f'  control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{name} int32_false_true: [ 0, 1 ] }} }}\n'
        for name in ("START", "END", "READY")
    )
    return f'{flags}  control_input {{ name: "CORRID" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }} }}\n'


def _states(stateful: StatefulModel) -> str:
    """Declare each state; a sequence begins with zeros."""
    *floats, length = stateful.states
    declared = [*((state, "TYPE_FP32") for state in floats), (length, "TYPE_INT64")]
    return "".join(
        f"  state {{ input_name: {_quoted(given)} output_name: {_quoted(next_given)} data_type: {data_type}"
        f" dims: {list(shape)}\n"
        f'    initial_state {{ name: "zeros" data_type: {data_type} dims: {list(shape)} zero_data: true }} }}\n'
        for (given, next_given, shape), data_type in declared
    )


def _quoted(text: str) -> str:
    """Write a string of protobuf's text format: bytes that are not plain ASCII as three octal digits."""
    plain = {byte: chr(byte) for byte in range(0x20, 0x7F)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
    return '"' + "".join(plain.get(byte) or f"\\{byte:03o}" for byte in text.encode()) + '"'


def main(arguments: Sequence[str] | None = None) -> int:
    """Write an entry as the command line says; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engines.backends.triton.repository", description=__doc__)
    defaults = EntryOptions()
    parser.add_argument("model", type=Path, help="folder or file of the model")
    parser.add_argument("repository", type=Path, help="Triton's --model-repository")
    parser.add_argument("--name", default="", help="of the model at the server")
    parser.add_argument("--backend", type=TritonRuntime, choices=list(TritonRuntime), default=defaults.runtime)
    parser.add_argument("--sequences", type=int, default=defaults.sequences)
    parser.add_argument("--max-batch", type=int, default=defaults.max_batch)
    parser.add_argument("--idle-ms", type=int, default=defaults.idle_ms)
    parser.add_argument("--queue-delay-us", type=int, default=defaults.queue_delay_us)
    parser.add_argument("--instances", type=int, default=defaults.instances)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    parser.add_argument("--gpu", type=int, default=None)
    given = parser.parse_args(arguments)
    options = EntryOptions(
        runtime=given.backend,
        sequences=given.sequences,
        max_batch=given.max_batch,
        idle_ms=given.idle_ms,
        queue_delay_us=given.queue_delay_us,
        instances=given.instances,
        threads=given.threads,
        gpu=given.gpu,
    )
    try:
        entry = write_entry(given.model, given.repository, options, name=given.name)
    except ModelRejected as error:
        sys.stderr.write("".join(f"{mistake}\n" for mistake in error.mistakes))
        return _REJECTED
    sys.stdout.write(f"{entry}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
