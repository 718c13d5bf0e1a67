"""An engine file is used for exactly what it was built for, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.engine_files import (
    EngineKey,
    Machine,
    engine_path,
    inspect_engine,
    read_engine,
    read_timing_cache,
    timing_path,
    usable_keys,
    write_engine,
    write_timing_cache,
)
from engines.backends.tensorrt.half_precision import Precision
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

MACHINE = Machine(gpu="NVIDIA L4", compute_capability="8.9", tensorrt="11.4.0.106")
KEY = EngineKey(model_digest="abc", machine=MACHINE, batches=BatchRange(1, 8, 8), precision=Precision.fp32)
OTHER: dict[str, Any] = {
    "model": {"model_digest": "abd"},
    "GPU": {"machine": Machine(gpu="NVIDIA T4", compute_capability="8.9", tensorrt="11.4.0.106")},
    "compute capability": {"machine": Machine(gpu="NVIDIA L4", compute_capability="7.5", tensorrt="11.4.0.106")},
    "TensorRT": {"machine": Machine(gpu="NVIDIA L4", compute_capability="8.9", tensorrt="11.4.0.107")},
    "range of batches": {"batches": BatchRange(1, 4, 8)},
    "precision": {"precision": Precision.fp16},
    "format": {"format": 0},
}


@pytest.mark.parametrize("what", OTHER)
def test_a_file_of_another_key_is_refused_and_says_what_differs(what: str, tmp_path: Path) -> None:
    other = msgspec.structs.replace(KEY, **OTHER[what])
    path = tmp_path / "x.engine"
    write_engine(path, other, plan=b"p", report={})
    with pytest.raises(ModelRejected) as refused:
        read_engine(path, KEY)
    assert [what in mistake for mistake in refused.value.mistakes] == [True]
    assert engine_path(tmp_path, "m", other) != engine_path(tmp_path, "m", KEY)


def test_a_file_of_this_key_is_read_back(tmp_path: Path) -> None:
    path = engine_path(tmp_path, "m", KEY)
    write_engine(path, KEY, plan=b"plan", report={"level": "full"})
    assert read_engine(path, KEY) == (path, KEY, {"level": "full"}, b"plan")
    facts = inspect_engine(path)
    assert (facts.key, facts.plan_bytes, facts.report) == (KEY, 4, {"level": "full"})


@given(some.text(max_size=300), some.text(max_size=300))
def test_any_name_gives_a_plain_file_name(name: str, gpu: str) -> None:
    from pathlib import Path

    key = msgspec.structs.replace(KEY, machine=msgspec.structs.replace(MACHINE, gpu=gpu))
    path = engine_path(Path("f"), name, key)
    assert path.parent == Path("f")
    assert len(path.name) < 255
    assert path.name.isascii()


def test_the_best_of_the_usable_files_comes_first(tmp_path: Path) -> None:
    keys = [
        msgspec.structs.replace(KEY, batches=BatchRange(1, 64, 64)),
        KEY,
        msgspec.structs.replace(KEY, precision=Precision.fp16, batches=BatchRange(1, 16, 16)),
    ]
    unusable = [
        msgspec.structs.replace(KEY, batches=BatchRange(2, 8, 8)),
        msgspec.structs.replace(KEY, batches=BatchRange(1, 4, 4)),
        *(msgspec.structs.replace(KEY, **OTHER[what]) for what in ("model", "GPU", "TensorRT", "format")),
    ]
    for key in keys + unusable:
        write_engine(engine_path(tmp_path, "m", key), key, plan=b"", report={})
    (tmp_path / "damaged.engine").write_bytes(b"PATCHBAY-ENGINE\nno")
    found = usable_keys(tmp_path, model_digest="abc", machine=MACHINE, max_batch=8)
    assert [key for _, key in found] == [keys[2], keys[1], keys[0]]


def test_a_timing_cache_is_of_one_machine(tmp_path: Path) -> None:
    path = timing_path(tmp_path, MACHINE)
    assert read_timing_cache(path, MACHINE) == b""
    write_timing_cache(path, MACHINE, b"timed")
    assert read_timing_cache(path, MACHINE) == b"timed"
    assert read_timing_cache(path, OTHER["TensorRT"]["machine"]) == b""
    path.write_bytes(path.read_bytes()[:-1])
    assert read_timing_cache(path, MACHINE) == b""
