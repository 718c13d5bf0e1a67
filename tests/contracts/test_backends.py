"""Every backend that needs neither device nor server keeps the contract, in every precision; a wrong one is caught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.guarded import GuardedBackend
from engines.backends.load import load_backend
from engines.backends.onnx import ON_CPU, open_plain, open_pooled
from engines.backends.scripted import BackendScript, ScriptedBackend, Wrongness
from engines.contract import BackendKind, BackendSettings
from engines.errors import BackendFailed, ModelRejected
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import BackendConformance, Case, run_alone, settings
from tests.contracts.model_variants import (
    EMBEDDED_MODEL,
    Reference,
    speech,
    write_dynamic_int8,
    write_float16,
    write_static_int8,
)

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend, FloatArray

FP32_TOLERANCE = 1e-4
"""Lifted convolutions add in another order; nothing else differs from plain ONNX Runtime."""
FP16_TOLERANCE = 2e-2
FP16_OUT_TOLERANCE = 2 / 32
"""Two steps of float16 between 32 and 64, where the least likely pieces are."""
INT8_TOLERANCE = 2e-1
"""A number at the edge between two steps of int8 may fall to either side."""


def of_onnx(folder: Path, *, tolerance: float) -> Case:
    """A model on the CPU provider, as an engine loads it; its words are held against the graph as the file has it."""
    model_file = find_model_file(folder)

    def plain(chosen: BackendSettings) -> Backend:
        return open_plain(check_model(folder), model_file, chosen)

    return Case(
        BackendKind.onnx,
        lambda chosen: load_backend(folder, chosen),
        Reference(model_file).rows,
        plain,
        tolerance,
        model_file=model_file,
    )


class TestOnnxFloat32(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        return of_onnx(EMBEDDED_MODEL, tolerance=FP32_TOLERANCE)


class TestOnnxFloat32WithStateOutsideTheGraph(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        contract, model_file = check_model(EMBEDDED_MODEL), find_model_file(EMBEDDED_MODEL)

        def plain(chosen: BackendSettings) -> Backend:
            return open_plain(contract, model_file, chosen)

        return Case(BackendKind.onnx, plain, Reference(model_file).rows, plain, 0.0, model_file=model_file)


class TestOnnxFloat32OnAStagedDevice(BackendConformance):
    """What a GPU does, with the CPU in its place: features are copied over, batches filled up to a power of two."""

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        contract, model_file = check_model(EMBEDDED_MODEL), find_model_file(EMBEDDED_MODEL)
        runner = ON_CPU.as_staged()
        return Case(
            BackendKind.onnx,
            lambda chosen: open_pooled(contract, model_file, chosen, runner),
            Reference(model_file).rows,
            lambda chosen: open_plain(contract, model_file, chosen),
            0.0,
            model_file=model_file,
        )


class TestOnnxFloat16(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        folder = write_float16(tmp_path_factory.mktemp("float16") / "model", keeps_float32_outside=True)
        return of_onnx(folder, tolerance=FP16_TOLERANCE)


class TestOnnxFloat16InAndOut(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        folder = write_float16(tmp_path_factory.mktemp("float16") / "model", keeps_float32_outside=False)
        return of_onnx(folder, tolerance=FP16_OUT_TOLERANCE)


class TestOnnxStaticInt8(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> Case:
        folder = write_static_int8(tmp_path_factory.mktemp("int8") / "model")
        return of_onnx(folder, tolerance=INT8_TOLERANCE)


class TestScripted(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        def reference_rows(streams: FloatArray) -> FloatArray:
            backend = ScriptedBackend(BackendScript(), BackendSettings(max_slots=1))
            return np.stack([run_alone(backend, stream, slot=0) for stream in streams])

        return Case(
            BackendKind.scripted,
            lambda chosen: load_backend("nowhere", chosen),
            reference_rows,
            lambda chosen: ScriptedBackend(BackendScript(), chosen),
            0.0,
        )


# --- what is not let in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operators", [["MatMul"], ["MatMul", "Conv"]])
def test_dynamic_int8_is_refused_by_what_it_is_made_of(tmp_path: Path, operators: list[str]) -> None:
    with pytest.raises(ModelRejected) as rejected:
        check_model(write_dynamic_int8(tmp_path / "model", operators=operators))
    (mistake,) = rejected.value.mistakes
    assert mistake.startswith("it is quantised dynamically (DynamicQuantizeLinear)")


def test_a_model_says_in_which_precision_it_is(tmp_path: Path) -> None:
    assert check_model(EMBEDDED_MODEL).precision == "fp32"
    assert check_model(write_float16(tmp_path / "fp16", keeps_float32_outside=True)).precision == "fp16"
    assert check_model(write_static_int8(tmp_path / "int8")).precision == "int8 static"


def test_float16_state_takes_half_the_room(tmp_path: Path) -> None:
    whole = check_model(EMBEDDED_MODEL).state_bytes
    half = check_model(write_float16(tmp_path / "fp16", keeps_float32_outside=False)).state_bytes
    assert half - 8 == (whole - 8) // 2


# --- the suite itself ------------------------------------------------------------------------------------------------


def test_rows_of_the_pooled_graph_are_bit_for_bit_those_of_the_same_graph_without_pools(tmp_path: Path) -> None:
    """Gathering and scattering copies numbers and computes none."""
    contract, model_file = check_model(EMBEDDED_MODEL), find_model_file(EMBEDDED_MODEL)
    chosen = BackendSettings(max_slots=6)
    pooled = open_pooled(contract, model_file, chosen, ON_CPU.without_lifting())
    plain = open_plain(contract, model_file, chosen)
    for windows in speech(streams=6, steps=12).swapaxes(0, 1):
        assert np.array_equal(pooled.step(windows, [5, 0, 3, 1, 2, 4]), plain.step(windows, [5, 0, 3, 1, 2, 4]))


@pytest.mark.parametrize("wrong", list(Wrongness))
def test_the_suite_catches_a_backend_that_is_wrong(wrong: Wrongness) -> None:
    def open_wrong(chosen: BackendSettings) -> Backend:
        return GuardedBackend(ScriptedBackend(BackendScript(wrong_after_steps=31, wrong=wrong), chosen))

    suite, case = BackendConformance(), Case(BackendKind.scripted, open_wrong, np.copy, open_wrong, 0.0)
    backend = open_wrong(settings(BackendKind.scripted))
    contract = backend.contract
    shape = (6, 5, contract.window_frames, contract.feature_dim)
    streams: FloatArray = -7 + 3 * np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    alone = np.stack([run_alone(backend, stream, slot=0) for stream in streams])
    with pytest.raises((AssertionError, BackendFailed)):
        suite.test_every_size_of_batch_gives_each_row_as_if_alone(case, backend, streams, alone, 5)
