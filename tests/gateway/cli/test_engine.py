"""`patchbay engine`: says exactly what is missing on a machine without a GPU, and what an engine file is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from engines.backends.tensorrt.batches import BatchRange
from engines.backends.tensorrt.engine_files import EngineKey, Machine, write_engine
from engines.backends.tensorrt.half_precision import Precision
from engines.backends.tensorrt.readiness import readiness
from engines.server.options import EMBEDDED_MODEL
from gateway.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.integration


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["engine", *arguments], env={"COLUMNS": "200"})


def test_a_machine_without_a_gpu_is_told_everything_that_is_missing(tmp_path: Path) -> None:
    missing = readiness().missing
    outcome = run("build", str(EMBEDDED_MODEL), "--cache", str(tmp_path), "--batch-max", "2", "--json")
    if missing:
        assert outcome.exit_code == 69
        assert json.loads(outcome.stdout)["mistakes"] == list(missing)
        assert outcome.stderr.splitlines() == list(missing)
    else:
        assert outcome.exit_code == 0


@pytest.mark.parametrize("options", [("--batch-min", "5", "--batch-max", "4"), ("--precision", "int8")])
def test_wrong_options_are_64(options: tuple[str, ...]) -> None:
    assert run("build", str(EMBEDDED_MODEL), *options).exit_code == 64


def test_a_model_that_is_none_is_65(tmp_path: Path) -> None:
    outcome = run("build", str(tmp_path / "none"))
    assert outcome.exit_code == 65
    assert outcome.stderr


def test_an_engine_file_is_inspected_on_any_machine(tmp_path: Path) -> None:
    machine = Machine(gpu="NVIDIA L4", compute_capability="8.9", tensorrt="11.4.0.106")
    key = EngineKey(model_digest="abc", machine=machine, batches=BatchRange(1, 8, 8), precision=Precision.fp16)
    path = tmp_path / "x.engine"
    write_engine(path, key, plan=b"plan", report={"level": "half"})
    row = json.loads(run("inspect", str(path), "--json").stdout)
    assert (row["key"]["machine"]["gpu"], row["plan_bytes"], row["report"]) == ("NVIDIA L4", 4, {"level": "half"})
    assert "NVIDIA L4" in run("inspect", str(path)).stdout
    path.write_bytes(b"garbage")
    assert run("inspect", str(path)).exit_code == 65
