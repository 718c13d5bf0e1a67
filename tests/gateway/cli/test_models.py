"""`patchbay models`: the shipped model is listed, a broken one is listed with its mistakes and refused by `check`."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from engines.server.options import EMBEDDED_MODEL
from gateway.cli.app import app
from tests.models.lstm_transducer import LstmTransducer

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.integration


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "broken"
    folder.mkdir(parents=True)
    shutil.copy(EMBEDDED_MODEL / "tokens.txt", folder)
    (folder / "model.onnx").write_bytes(b"no model")
    return folder


def test_the_shipped_model_is_listed_with_what_it_is() -> None:
    outcome = run("list", "--json")
    assert outcome.exit_code == 0
    (row,) = json.loads(outcome.stdout)
    assert set(row) == {
        *("name", "version", "kind", "precision", "language", "vocab_size", "window_ms", "step_ms"),
        *("weights_bytes", "state_bytes", "path"),
    }
    assert (row["name"], row["path"]) == ("embedded", str(EMBEDDED_MODEL))
    assert row["window_ms"] >= row["step_ms"] > 0
    assert (row["kind"], row["precision"]) == ("ctc", "fp32")
    assert 0.9 < row["weights_bytes"] / (EMBEDDED_MODEL / "model.onnx").stat().st_size <= 1


def test_people_get_a_table() -> None:
    outcome = run("list")
    assert outcome.exit_code == 0
    assert "embedded" in outcome.stdout
    assert "ms" in outcome.stdout


def test_a_broken_model_is_listed_with_its_mistakes_beside_the_others(broken: Path) -> None:
    shutil.copytree(EMBEDDED_MODEL, broken.parent / "good")
    (broken.parent / "no model at all").mkdir()
    outcome = run("list", "--json", "--folder", str(broken.parent))
    assert outcome.exit_code == 0
    first, second = json.loads(outcome.stdout)
    assert (first["path"], bool(first["mistakes"])) == (str(broken), True)
    assert second["path"] == str(broken.parent / "good")
    assert "refused" in run("list", "--folder", str(broken.parent)).stdout


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_models_is_an_empty_list(tmp_path: Path, name: str) -> None:
    outcome = run("list", "--json", "--folder", str(tmp_path / name))
    assert (outcome.exit_code, json.loads(outcome.stdout)) == (0, [])


def test_check_says_what_a_good_model_is() -> None:
    outcome = run("check", str(EMBEDDED_MODEL), "--json")
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout)["name"] == "embedded"
    assert "vocab_size" in run("check", str(EMBEDDED_MODEL)).stdout


def test_check_refuses_a_broken_model_with_65_and_every_mistake(broken: Path) -> None:
    outcome = run("check", str(broken), "--json")
    assert outcome.exit_code == 65
    row = json.loads(outcome.stdout)
    assert row["path"] == str(broken)
    assert row["mistakes"] == outcome.stderr.splitlines()


def test_check_of_nothing_is_65(tmp_path: Path) -> None:
    outcome = run("check", str(tmp_path / "none"))
    assert outcome.exit_code == 65
    assert outcome.stderr


def test_a_transducers_folder_is_checked_too(tmp_path: Path) -> None:
    folder = LstmTransducer().write(tmp_path / "small")
    outcome = run("check", str(folder), "--json")
    assert outcome.exit_code == 0
    row = json.loads(outcome.stdout)
    assert (row["name"], row["kind"], row["step_ms"]) == ("small", "transducer", 40)
    assert row["state_bytes"] == 2 * 2 * 32 * 4
    (folder / "decoder.onnx").unlink()
    outcome = run("check", str(folder))
    assert outcome.exit_code == 65
