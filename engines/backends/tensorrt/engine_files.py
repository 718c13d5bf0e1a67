"""Engine files and timing caches on the disk: what they are keyed by, where they lie, what makes one usable.

An engine file runs on one kind of GPU, with one version of TensorRT, for one model, one range of batches and one
precision. All of that is its key. The key is in the file and in its name, and is compared with what the machine needs
before a byte of the plan reaches TensorRT. A file that does not match or is damaged is never loaded; it is built anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.half_precision import Precision
from engines.backends.tensorrt.sealed_file import read_facts, read_sealed, write_sealed
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE_MAGIC = b"PATCHBAY-ENGINE\n"
TIMING_MAGIC = b"PATCHBAY-TIMING\n"
ENGINE_SUFFIX, TIMING_SUFFIX = ".engine", ".timing"
FORMAT = 1
"""Raised whenever what the facts mean, or how a plan is bound, changes: older files are built anew."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is tied to: TensorRT refuses, or misjudges, plans of another GPU or version."""

    gpu: str
    compute_capability: str
    tensorrt: str


class EngineKey(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal for a plan to be used. `precision` is the one asked for, not what the build came to."""

    model_digest: str
    """`ModelContract.version`: of the model file and its external weights."""
    machine: Machine
    batches: BatchRange
    precision: Precision
    format: int = FORMAT


class EngineFile(NamedTuple):
    """A plan and what was written beside it. `report` is the build's, as JSON."""

    path: Path
    key: EngineKey
    report: dict[str, Any]
    plan: bytes


class EngineFacts(NamedTuple):
    """An engine file's header."""

    path: Path
    key: EngineKey
    report: dict[str, Any]
    plan_bytes: int
    plan_sha256: str


def default_folder(model_file: Path) -> Path:
    """Where a model's engine files lie unless the settings name a folder."""
    return model_file.parent / "tensorrt"


def engine_path(folder: Path, name: str, key: EngineKey) -> Path:
    """Name the file: something to read, then a digest that keeps keys apart which read the same."""
    batches = key.batches
    readable = (
        f"{name}-{key.machine.gpu}-trt{key.machine.tensorrt}-b{batches.least}-{batches.best}-{batches.most}"
        f"-{key.precision}"
    )
    return folder / f"{_plain(readable)}-{_digest(key)}{ENGINE_SUFFIX}"


def timing_path(folder: Path, machine: Machine) -> Path:
    return folder / f"{_plain(f'{machine.gpu}-trt{machine.tensorrt}')}-{_digest(machine)}{TIMING_SUFFIX}"


def write_engine(path: Path, key: EngineKey, *, plan: bytes, report: dict[str, Any]) -> None:
    """Write it whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_sealed(path, magic=ENGINE_MAGIC, facts={"key": msgspec.to_builtins(key), "report": report}, payload=plan)


def read_engine(path: Path, key: EngineKey) -> EngineFile:
    """Read a plan that has exactly this key.

    Raises:
        ModelRejected: no such file, a damaged one, or one of another key; it says what differs.
    """
    facts, plan = read_sealed(path, magic=ENGINE_MAGIC)
    found = _key(path, facts)
    if differences := _differences(key, found):
        raise ModelRejected(str(path), differences)
    return EngineFile(path, found, _report(facts), plan)


def inspect_engine(path: Path) -> EngineFacts:
    """Read a header, of whatever machine.

    Raises:
        ModelRejected: no engine file, or its header is damaged.
    """
    facts = read_facts(path, magic=ENGINE_MAGIC)
    return EngineFacts(path, _key(path, facts), _report(facts), facts["payload_bytes"], str(facts["payload_sha256"]))


def usable_keys(folder: Path, *, model_digest: str, machine: Machine, max_batch: int) -> list[tuple[Path, EngineKey]]:
    """Find engine files for this model on this machine that take every batch from 1 to `max_batch`.

    fp16 comes first, as such a file is there only if somebody asked for it and its words were right; then the smallest
    range. Files that cannot be read are passed over: who needs one of them builds it anew.
    """
    found = [
        (path, key)
        for path, key in _headers(folder)
        if key.model_digest == model_digest
        and key.machine == machine
        and key.format == FORMAT
        and key.batches.least == 1
        and key.batches.most >= max_batch
    ]
    return sorted(found, key=lambda entry: (entry[1].precision != Precision.fp16, entry[1].batches.most, entry[0].name))


def read_timing_cache(path: Path, machine: Machine) -> bytes:
    """Give TensorRT's timing cache of this machine, nothing if there is none that can be used."""
    try:
        facts, content = read_sealed(path, magic=TIMING_MAGIC)
    except ModelRejected:
        return b""
    return content if facts.get("machine") == msgspec.to_builtins(machine) else b""


def write_timing_cache(path: Path, machine: Machine, content: bytes) -> None:
    """Write it whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_sealed(path, magic=TIMING_MAGIC, facts={"machine": msgspec.to_builtins(machine)}, payload=content)


def _headers(folder: Path) -> Iterator[tuple[Path, EngineKey]]:
    for path in sorted(folder.glob(f"*{ENGINE_SUFFIX}")):
        try:
            yield path, inspect_engine(path).key
        except ModelRejected:
            continue


def _key(path: Path, facts: dict[str, Any]) -> EngineKey:
    try:
        return msgspec.convert(facts.get("key"), EngineKey)
    except msgspec.ValidationError as error:
        raise ModelRejected(str(path), [f"its header has no key that can be read: {error}"]) from error


def _report(facts: dict[str, Any]) -> dict[str, Any]:
    report = facts.get("report")
    return report if isinstance(report, dict) else {}


def _differences(wanted: EngineKey, found: EngineKey) -> list[str]:
    pairs = {
        "model": (wanted.model_digest, found.model_digest),
        "GPU": (wanted.machine.gpu, found.machine.gpu),
        "compute capability": (wanted.machine.compute_capability, found.machine.compute_capability),
        "TensorRT": (wanted.machine.tensorrt, found.machine.tensorrt),
        "range of batches": (str(wanted.batches), str(found.batches)),
        "precision": (wanted.precision, found.precision),
        "format": (wanted.format, found.format),
    }
    return [
        f"it was built for the {what} {theirs}, not {ours}" for what, (ours, theirs) in pairs.items() if ours != theirs
    ]


def _digest(keyed: msgspec.Struct) -> str:
    text = json.dumps(msgspec.to_builtins(keyed), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:150]
