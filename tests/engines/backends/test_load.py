"""The settings name the runtime; what it needs and has not is said in a sentence, and nothing else is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from engines.backends.load import load_backend
from engines.contract import BackendKind, BackendSettings
from engines.errors import ModelRejected

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_model_runs_on_the_cpu_unless_the_settings_say_otherwise(toy_model: Any, tmp_path: Path) -> None:
    backend = load_backend(toy_model.write(tmp_path / "toy"), BackendSettings(max_slots=7, max_batch=3))
    assert (backend.kind, backend.max_slots, backend.max_batch) == (BackendKind.onnx, 7, 3)
    assert backend.contract.name == "toy"


def test_a_model_that_breaks_the_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected):
        load_backend(tmp_path, BackendSettings())


def test_a_missing_library_is_a_refusal_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engines.backends.tensorrt.backend", None)
    with pytest.raises(ModelRejected) as rejected:
        load_backend("anywhere", BackendSettings(kind=BackendKind.tensorrt))
    (mistake,) = rejected.value.mistakes
    assert mistake.startswith("the backend tensorrt needs NVIDIA's tensorrt")


def test_no_runtime_is_imported_before_it_is_asked_for() -> None:
    names = "onnxruntime", "tensorrt", "tritonclient"
    source = f"import sys; import engines.backends.load; print([name for name in {names} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"
