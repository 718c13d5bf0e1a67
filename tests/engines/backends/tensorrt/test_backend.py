"""The whole backend over host memory gives what ONNX Runtime gives, bit for bit, and steps only at exact sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.step_times import speech_like
from engines.backends.tensorrt.accuracy import made_up_probe, reference
from engines.backends.tensorrt.backend import TensorRtBackend
from engines.backends.tensorrt.readiness import readiness
from engines.contract import BackendKind, BackendSettings
from engines.errors import BackendFailed, RuntimeMissing
from tests.fakes.host_toolchain import HostToolchain

if TYPE_CHECKING:
    from pathlib import Path

    from engines.backends.tensorrt.making import Model

pytestmark = pytest.mark.unit


def settings(folder: Path) -> BackendSettings:
    return BackendSettings(kind=BackendKind.tensorrt, max_slots=5, max_batch=4, cache_folder=str(folder))


def test_it_gives_what_the_model_gives(model: Model, tmp_path: Path) -> None:
    backend = TensorRtBackend(HostToolchain(), model, settings(tmp_path))
    times = backend.warm_up()
    assert [time.batch for time in times] == [1, 2, 4]
    assert backend.memory.state_bytes_total == 5 * backend.memory.state_bytes_per_slot
    probe = made_up_probe(model.contract)
    expected = reference(model.file, model.contract, probe)
    found = np.stack([backend.step(window, [4, 0, 2, 1]) for window in probe.windows])
    assert np.array_equal(found, expected)
    backend.close()
    backend.close()


def test_once_closed_it_fails_and_touches_no_memory(model: Model, tmp_path: Path) -> None:
    backend = TensorRtBackend(HostToolchain(), model, settings(tmp_path))
    backend.close()
    with pytest.raises(BackendFailed, match="closed"):
        backend.step(speech_like(model.contract, rows=1), [0])
    with pytest.raises(BackendFailed, match="closed"):
        backend.reset(0)


def test_sizes_that_are_not_exact_are_not_used(model: Model, tmp_path: Path) -> None:
    def differs_at_one(rows: np.ndarray, batch: int) -> np.ndarray:
        return rows + np.float32(1e-3) if batch == 1 else rows

    backend = TensorRtBackend(HostToolchain(distortion=differs_at_one), model, settings(tmp_path))
    assert backend.batch_sizes == (2, 4)
    assert backend.step(speech_like(model.contract, rows=1), [3]).shape[0] == 1
    backend.close()


def test_without_a_gpu_the_typed_error_names_what_is_missing(embedded_model: Path, tmp_path: Path) -> None:
    from engines.backends.tensorrt.backend import open_backend

    if readiness().missing:
        with pytest.raises(RuntimeMissing):
            open_backend(embedded_model, settings(tmp_path))
    else:
        open_backend(embedded_model, settings(tmp_path)).close()
