"""What ONNX Runtime's CUDA provider is told, and that a machine without it is refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnxruntime
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import ON_CPU
from engines.backends.onnx_cuda import PROVIDER, cuda_options, cuda_runner, open_on_device, require_provider
from engines.backends.onnx_pools import Device
from engines.contract import BackendKind, BackendSettings
from engines.errors import ModelRejected, RuntimeMissing
from engines.model_files import check_model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

SETTINGS = BackendSettings(kind=BackendKind.onnx_cuda, max_slots=4, device_index=2)


def test_float32_stays_float32_and_the_gpu_is_the_one_asked_for() -> None:
    options = cuda_options(SETTINGS)
    assert (options["device_id"], options["use_tf32"], options["enable_cuda_graph"]) == ("2", "0", "0")
    assert cuda_options(SETTINGS, records_launches=True)["enable_cuda_graph"] == "1"
    assert all(isinstance(value, str) for value in options.values())


def test_state_lies_on_the_device_and_what_the_gpu_cannot_do_falls_to_the_cpu() -> None:
    runner = cuda_runner(SETTINGS)
    assert str(runner.device) == "cuda:2"
    assert runner.device.is_staged
    providers = runner.providers({})
    assert (providers[0][0], providers[-1]) == (PROVIDER, "CPUExecutionProvider")


def test_an_onnx_runtime_without_cuda_is_refused_with_what_to_install() -> None:
    with pytest.raises(RuntimeMissing) as missing:
        require_provider("model", "NoSuchExecutionProvider")
    (mistake,) = missing.value.mistakes
    assert "onnxruntime-gpu" in mistake
    assert "CPUExecutionProvider" in mistake


def test_cuda_is_loaded_from_nvidias_wheels_before_the_provider_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def preload_dlls() -> None:
        asked.append("libraries")
        print("Failed to load libcublas.so.13")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload_dlls)
    require_provider("model", "CPUExecutionProvider")
    assert asked == ["libraries"]
    assert capsys.readouterr().out == ""


def test_without_the_provider_nothing_is_loaded(tmp_path: Path) -> None:
    if PROVIDER not in onnxruntime.get_available_providers():
        with pytest.raises(RuntimeMissing):
            load_backend(tmp_path / "not even looked for", SETTINGS)


def test_a_provider_that_falls_away_is_not_taken_for_a_gpu(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    fallen = replace(ON_CPU.as_staged(), provider=PROVIDER)
    with pytest.raises(RuntimeMissing, match="found no GPU"):
        open_on_device(check_model(folder), folder / "model.onnx", SETTINGS, fallen)
    open_on_device(check_model(folder), folder / "model.onnx", SETTINGS, ON_CPU.as_staged()).close()


def test_a_device_without_room_for_the_state_is_a_refusal(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    elsewhere = replace(ON_CPU, device=Device("cuda", 99, is_staged=True))
    with pytest.raises(ModelRejected, match="the state of 4 streams cannot be laid out on cuda:99"):
        open_on_device(check_model(folder), folder / "model.onnx", SETTINGS, elsewhere)


def test_a_graph_whose_state_cannot_be_pooled_is_refused(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.but(opset=12).write(tmp_path)
    with pytest.raises(ModelRejected, match="its state cannot be kept on a device"):
        open_on_device(check_model(folder), folder / "model.onnx", SETTINGS, ON_CPU)
