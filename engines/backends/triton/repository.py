"""Writes the entry of a checked model into a Triton model repository: configuration, version folder, model files.

The version folder's number is made of the digest, so that a model that was exchanged cannot answer for the one that an
engine checked.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engines.backends.triton.entry_config import (
    EntryOptions,
    EntryTensors,
    TritonRuntime,
    entry_config,
    version_number,
)
from engines.backends.triton.implicit_state import NotFloat, with_implicit_state
from engines.backends.triton.served_contract import DIGEST, PRECISION, STATE_BYTES, TOKENS, WEIGHTS_BYTES
from engines.errors import ModelRejected
from engines.model_files import MODEL_FILE, TOKENS_FILE, check_model, find_model_file
from engines.model_header import read_header
from engines.onnx_session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import ModelContract

_SERVED_MODEL = Path(__file__).with_name("served_model.py")
_EXIT_REJECTED, _EXIT_NOT_WRITTEN = 65, 73


def write_entry(model: Path | str, repository: Path, options: EntryOptions, *, name: str = "") -> Path:
    """Write the entry beside its place, then move it there; give its folder. One that is there is replaced.

    Args:
        name: of the model at the server; by default the model's own.

    Raises:
        ModelRejected: the model breaks the contract, or Triton's ONNX Runtime backend cannot keep its state.
        OSError: the repository cannot be written.
    """
    contract = check_model(model)
    model_file = find_model_file(model)
    name = name or contract.name
    repository.mkdir(parents=True, exist_ok=True)
    entry, partial = repository / name, repository / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    version_folder = partial / version_number(contract)
    version_folder.mkdir(parents=True)
    tensors = _write_model(model_file, contract, version_folder, options.runtime)
    configuration = entry_config(name, contract, options, tensors, _parameters(model_file, contract, options))
    (partial / "config.pbtxt").write_text(configuration, encoding="ascii")
    shutil.rmtree(entry, ignore_errors=True)
    partial.rename(entry)
    return entry


def _write_model(model_file: Path, contract: ModelContract, folder: Path, runtime: TritonRuntime) -> EntryTensors:
    for location in sorted(read_header(model_file).external_files):
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model_file.parent / location, folder / location)
    if runtime is TritonRuntime.python:
        shutil.copyfile(_SERVED_MODEL, folder / "model.py")
        shutil.copyfile(model_file, folder / MODEL_FILE)
        return EntryTensors("features", "log_probabilities")
    try:
        stateful = with_implicit_state(model_file.read_bytes(), contract)
    except NotFloat as error:
        raise ModelRejected(str(model_file), [str(error)]) from error
    (folder / MODEL_FILE).write_bytes(stateful.content)
    return stateful.tensors


def _parameters(model_file: Path, contract: ModelContract, options: EntryOptions) -> dict[str, str]:
    """Give what the engine reads back: the file's own metadata and what lies beside it."""
    metadata: dict[str, str] = open_session(model_file, threads=1).get_modelmeta().custom_metadata_map
    return metadata | {
        TOKENS: (model_file.parent / TOKENS_FILE).read_text(encoding="utf-8"),
        DIGEST: contract.version,
        PRECISION: contract.precision,
        WEIGHTS_BYTES: str(contract.weights_bytes),
        STATE_BYTES: str(contract.state_bytes),
        "threads": str(options.threads),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write an entry as the command line says; give the exit code."""
    defaults = EntryOptions()
    parser = argparse.ArgumentParser(
        prog="python -m engines.backends.triton.repository",
        description="Write a model into a Triton model repository.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="folder or file of the model")
    parser.add_argument("repository", type=Path, help="what Triton gets as --model-repository")
    parser.add_argument("--name", default="", help="of the model at the server; empty: the model's own")
    parser.add_argument("--runtime", choices=[*TritonRuntime], default=defaults.runtime, help="which Triton backend")
    parser.add_argument("--sequences", type=int, default=defaults.sequences, help="that each instance advances at once")
    parser.add_argument("--max-batch", type=int, default=defaults.max_batch, help="rows of one run")
    parser.add_argument("--idle-ms", type=int, default=defaults.idle_ms, help="after which a sequence is forgotten")
    parser.add_argument("--queue-delay-us", type=int, default=defaults.queue_delay_us, help="wait for a fuller batch")
    parser.add_argument("--instances", type=int, default=defaults.instances, help="copies of the model")
    parser.add_argument("--threads", type=int, default=defaults.threads, help="of one run, with --runtime python")
    parser.add_argument("--gpu", type=int, default=None, help="which GPU; without it the CPU")
    given = vars(parser.parse_args(arguments))
    model, repository, name = given.pop("model"), given.pop("repository"), given.pop("name")
    options = EntryOptions(runtime=TritonRuntime(given.pop("runtime")), **given)
    try:
        entry = write_entry(model, repository, options, name=name)
    except ModelRejected as error:
        sys.stderr.write("".join(f"{mistake}\n" for mistake in error.mistakes))
        return _EXIT_REJECTED
    except OSError as error:
        sys.stderr.write(f"the repository cannot be written: {error}\n")
        return _EXIT_NOT_WRITTEN
    sys.stdout.write(f"{entry}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
