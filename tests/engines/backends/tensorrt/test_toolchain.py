"""The real toolchain opens only where everything is there, and otherwise names all that is missing."""

from __future__ import annotations

import pytest

from engines.backends.tensorrt.readiness import readiness
from engines.backends.tensorrt.toolchain import TensorRtToolchain
from engines.errors import RuntimeMissing

pytestmark = pytest.mark.unit


def test_all_that_is_missing_is_named() -> None:
    missing = readiness().missing
    if missing:
        with pytest.raises(RuntimeMissing) as refused:
            TensorRtToolchain(0)
        assert refused.value.mistakes == list(missing)
    else:
        assert TensorRtToolchain(0).machine.tensorrt == readiness().tensorrt_version
