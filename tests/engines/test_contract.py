"""Promises of the nouns inside an engine."""

from __future__ import annotations

import pytest

from engines.contract import BackendKind, BackendSettings, StateShape

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("max_slots", "max_batch", "largest"), [(32, 0, 32), (32, 8, 8), (4, 8, 4)])
def test_a_step_never_has_more_rows_than_there_are_slots(max_slots: int, max_batch: int, largest: int) -> None:
    assert BackendSettings(max_slots=max_slots, max_batch=max_batch).largest_batch == largest


def test_a_version_names_the_device_wherever_its_numbers_are_not_those_of_a_cpu() -> None:
    assert {kind: kind.version_of("abc") for kind in BackendKind} == {
        BackendKind.onnx: "abc",
        BackendKind.triton: "abc",
        BackendKind.scripted: "abc",
        BackendKind.onnx_cuda: "abc-onnx-cuda",
        BackendKind.onnx_tensorrt: "abc-onnx-tensorrt",
        BackendKind.tensorrt: "abc-tensorrt",
    }


def test_a_state_s_size_is_that_of_one_stream() -> None:
    assert StateShape("keys", (2, 3, 5), 1).size_bytes == 120
    assert StateShape("processed", (), 0, is_integer=True).size_bytes == 8
