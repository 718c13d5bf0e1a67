"""TensorRT is missing, of the wrong version, or listened to."""

from __future__ import annotations

import importlib.util

import pytest

from engines.backends.tensorrt.library import Complaints, is_supported, load_tensorrt
from engines.errors import RuntimeMissing
from tests.fakes.tensorrt_module import FakeTensorRt, Severity

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("10.13.2.6", False),
        ("10.14.1.48.post1", True),
        ("10.16.1.11", True),
        ("11.4.0.106", True),
        ("12.0.0", False),
        ("8.6.1", False),
        ("", False),
    ],
)
def test_only_versions_that_were_looked_at_are_taken(version: str, expected: bool) -> None:
    assert is_supported(version) is expected


def test_a_missing_library_says_what_to_install() -> None:
    if importlib.util.find_spec("tensorrt") is None:
        with pytest.raises(RuntimeMissing, match=r"pip install 'patchbay\[gpu\]'"):
            load_tensorrt()
    else:
        assert is_supported(load_tensorrt().__version__)


def test_errors_and_warnings_are_kept_and_chatter_is_not() -> None:
    complaints = Complaints(FakeTensorRt())
    for severity in (Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.INTERNAL_ERROR):
        text = f"said\n at {severity}"
        complaints.logger.log(severity, text)
    assert complaints.errors == ["said at 1", "said at 0"]
    assert complaints.warnings == ["said at 2"]
    assert complaints.last_errors(1) == "said at 0"
    for number in range(100):
        complaints.logger.log(Severity.ERROR, str(number))
    assert len(complaints.errors) == 20
