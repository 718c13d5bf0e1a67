"""A model at a real Triton server keeps the contract of all backends; it gives the very bits of ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import open_plain
from engines.backends.triton.entry_config import EntryOptions, TritonRuntime
from engines.backends.triton.repository import write_entry
from engines.contract import BackendKind, BackendSettings
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import BackendConformance, Case
from tests.contracts.model_variants import Reference
from tests.harness.triton import Triton

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend

pytestmark = [pytest.mark.triton, pytest.mark.alone]


class TestTriton(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, shared_triton: Triton, embedded: Path) -> Case:
        contract, model_file = check_model(embedded), find_model_file(embedded)

        def at_server(chosen: BackendSettings) -> Backend:
            return load_backend("asr", msgspec.structs.replace(chosen, server=shared_triton.address))

        return Case(
            BackendKind.triton,
            at_server,
            Reference(model_file).rows,
            lambda chosen: open_plain(contract, model_file, chosen),
            tolerance=0.0,
            model_file=model_file,
        )


def test_triton_reads_the_configuration_for_its_onnx_runtime_backend_which_is_not_here(
    tmp_path: Path, embedded: Path
) -> None:
    """Of that entry, this is all that has been run; the rewritten file itself is run by ONNX Runtime elsewhere."""
    write_entry(embedded, tmp_path / "repository", EntryOptions(runtime=TritonRuntime.onnxruntime), name="asr")
    server = Triton(tmp_path / "repository")
    try:
        with pytest.raises(AssertionError, match="did not start"):
            server.start()
    finally:
        server.stop()
    assert "unable to find backend library for backend 'onnxruntime'" in server.log()
