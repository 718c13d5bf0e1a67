"""The kind of a model is told by what its folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.contract import ModelContract, TransducerContract
from engines.errors import ModelRejected
from engines.model_kinds import ModelKind, check_files, kind_of
from tests.models.lstm_transducer import LstmTransducer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_folder_with_a_joiner_is_a_transducer(tmp_path: Path) -> None:
    assert kind_of(LstmTransducer().write(tmp_path)) is ModelKind.transducer
    (tmp_path / "joiner.onnx").rename(tmp_path / "joiner-epoch-99.onnx")
    assert kind_of(str(tmp_path)) is ModelKind.transducer


def test_a_transducer_that_lacks_a_part_is_told_so(tmp_path: Path) -> None:
    folder = LstmTransducer().write(tmp_path)
    (folder / "joiner.onnx").unlink()
    with pytest.raises(ModelRejected, match="joiner: there must be a file"):
        check_files(folder)


def test_everything_else_is_taken_for_a_ctc_model(toy_model: Any, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    assert kind_of(folder) is kind_of(folder / "model.onnx") is ModelKind.ctc
    assert kind_of(tmp_path / "none") is kind_of("\0") is ModelKind.ctc


def test_each_kind_is_checked_by_its_own_contract(toy_model: Any, tmp_path: Path) -> None:
    assert isinstance(check_files(LstmTransducer().write(tmp_path / "lstm")), TransducerContract)
    assert isinstance(check_files(toy_model.write(tmp_path / "ctc")), ModelContract)
