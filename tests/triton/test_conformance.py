"""A model at a real Triton server keeps the contract of all backends; it gives the very bits of ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.backends.load import load_backend
from engines.backends.onnx import open_plain
from engines.contract import BackendKind, BackendSettings
from engines.model_files import check_model, find_model_file
from tests.contracts.backend_conformance import BackendConformance, Case
from tests.contracts.model_variants import Reference

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import Backend
    from tests.harness.triton import Triton

pytestmark = pytest.mark.triton


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
