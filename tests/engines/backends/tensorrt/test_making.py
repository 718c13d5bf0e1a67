"""An engine file is built once, found again, built anew if damaged; precision goes up until the words are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.half_precision import Level, Precision
from engines.backends.tensorrt.making import EngineRequest, found_or_made, make_engine
from engines.errors import ModelRejected
from tests.fakes.host_toolchain import HostToolchain

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.making import Model

pytestmark = pytest.mark.unit


def test_a_file_is_built_once_and_a_damaged_one_anew(model: Model, tmp_path: Path) -> None:
    toolchain = HostToolchain()
    request = EngineRequest(BatchRange(1, 2, 2), Precision.fp16, tmp_path)
    first = make_engine(toolchain, model, request)
    again = make_engine(toolchain, model, request)
    assert (first.is_new, again.is_new, len(toolchain.builds)) == (True, False, 1)
    assert first.file == again.file
    assert first.file.report["level"] == Level.half
    path = first.file.path
    path.write_bytes(path.read_bytes()[:-1])
    third = make_engine(toolchain, model, request)
    assert third.is_new
    assert third.file.report["rebuilt_because"]
    assert toolchain.builds[-1].timing_cache == b"t"
    assert all(device.is_closed for device in toolchain.devices)


def test_precision_goes_up_until_the_words_are_right(model: Model, tmp_path: Path) -> None:
    toolchain = HostToolchain(distortion=lambda rows, _batch: rows + 0.01)
    made = make_engine(toolchain, model, EngineRequest(BatchRange(1, 2, 2), Precision.fp16, tmp_path))
    assert made.file.report["level"] == Level.half
    worse = HostToolchain(distortion=lambda rows, _batch: rows + 1.0)
    with pytest.raises(ModelRejected) as refused:
        make_engine(worse, model, EngineRequest(BatchRange(1, 1, 1), Precision.fp16, tmp_path))
    assert len(refused.value.mistakes) == len(worse.builds) == 3


def test_a_load_takes_what_is_there(model: Model, tmp_path: Path) -> None:
    toolchain = HostToolchain()
    made = make_engine(toolchain, model, EngineRequest(BatchRange(1, 4, 4), Precision.fp16, tmp_path))
    assert found_or_made(toolchain, model, max_batch=3, folder=tmp_path).path == made.file.path
    assert found_or_made(toolchain, model, max_batch=5, folder=tmp_path).key.batches == BatchRange(1, 5, 5)
