"""Every name that is called of TensorRT is one that its bindings have, in each version that is supported."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from engines.backends.tensorrt import api
from engines.backends.tensorrt.library import is_supported

pytestmark = pytest.mark.unit

FOUND: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "signatures.json").read_text())
ROOT = Path(__file__).parents[4]


def classes() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("signatures", ROOT / "scripts" / "tensorrt_signatures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.CLASSES)


@pytest.mark.parametrize("version", sorted(FOUND))
def test_what_is_called_of_tensorrt_has_the_parameters_that_are_given(version: str) -> None:
    for real, mirror in classes().items():
        said = FOUND[version]["classes"][real]
        for name, declared in vars(getattr(api, mirror)).items():
            if name.startswith("_"):
                continue
            if isinstance(declared, property):
                assert said[name] == "property", (real, name)
            elif inspect.isfunction(declared):
                given = list(inspect.signature(declared).parameters)[1:]
                assert given in [overload[: len(given)] for overload in said[name]], (real, name)


@pytest.mark.parametrize("version", sorted(FOUND))
def test_callbacks_and_enumerations_are_as_they_are_used(version: str) -> None:
    found = FOUND[version]
    assert found["classes"]["IProgressMonitor"] == {
        "phase_start": [["phase_name", "parent_phase", "num_steps"]],
        "step_complete": [["phase_name", "step"]],
        "phase_finish": [["phase_name"]],
    }
    assert found["classes"]["ILogger"]["log"] == [["severity", "msg"]]
    assert {name: set(members) for name, members in found["enumerations"].items()} == {
        name: set(members) for name, members in api.MEMBERS.items()
    }


def test_every_version_that_was_read_is_supported() -> None:
    assert all(is_supported(version) for version in FOUND)
