"""What is missing is said all at once."""

from __future__ import annotations

import importlib.util

import pytest

from engines.backends.tensorrt.readiness import readiness

pytestmark = pytest.mark.unit


def test_everything_that_is_missing_is_named_in_one_go() -> None:
    found = readiness()
    assert bool(found.tensorrt_version) == (importlib.util.find_spec("tensorrt") is not None)
    assert any("TensorRT" in mistake for mistake in found.missing) == (not found.tensorrt_version)
    assert any("GPU" in mistake for mistake in found.missing) == (found.gpus == 0)
