"""What cannot be run, or depends on its batch, is found out before a stream is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import pytest

from engines.transducers.files import find_transducer_files, load_transducer
from engines.transducers.networks import Networks
from engines.transducers.trial import binding_mistakes, empty_states, trial_mistakes
from tests.models.zipformer_transducer import ZipformerTransducer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_sound_model_has_no_mistakes(transducer: Path) -> None:
    contract, networks = load_transducer(transducer, threads=1)
    assert binding_mistakes(networks, contract) == []
    assert trial_mistakes(networks, contract) == []


def test_states_begin_as_zeros_with_the_batch_at_its_axis(transducer: Path) -> None:
    contract, _ = load_transducer(transducer, threads=1)
    for tensor, state in zip(empty_states(contract, 3), contract.states, strict=True):
        assert tensor.shape[state.batch_axis] == 3
        assert tensor.dtype == (np.int64 if state.is_integer else np.float32)
        assert not tensor.any()


def test_another_contract_than_the_files_is_told_by_place(transducer: Path) -> None:
    contract, networks = load_transducer(transducer, threads=1)
    other = msgspec.structs.replace(contract, vocab_size=9, context_size=7, joiner_dim=3)
    found = "\n".join(binding_mistakes(networks, other))
    for part in ("encoder: output 1", "decoder: input 1", "joiner: input 1", "joiner: output 1"):
        assert part in found


def spoil(folder: Path, change: str) -> None:
    """Let the encoder's rows depend on the whole batch, or be no numbers."""
    model = onnx.load(folder / "encoder.onnx")
    last = next(node for node in model.graph.node if node.output[0] == "encoder_out")
    last.output[0] = "before"
    if change == "batch":
        mean = onnx.helper.make_node("ReduceMean", ["before"], ["mean"], axes=[0], keepdims=1)
        model.graph.node.extend([mean, onnx.helper.make_node("Add", ["before", "mean"], ["encoder_out"])])
    else:
        zero = onnx.helper.make_node("Sub", ["before", "before"], ["zero"])
        model.graph.node.extend([zero, onnx.helper.make_node("Div", ["before", "zero"], ["encoder_out"])])
    onnx.save(model, folder / "encoder.onnx")


@pytest.mark.parametrize(
    ("change", "mistake"), [("batch", "must not depend on who shares its batch"), ("numbers", "must be finite")]
)
def test_results_that_cannot_be_trusted_are_refused(tmp_path: Path, change: str, mistake: str) -> None:
    folder = ZipformerTransducer().write(tmp_path)
    contract, _ = load_transducer(folder, threads=1)
    spoil(folder, change)
    found = trial_mistakes(Networks(find_transducer_files(folder), threads=1), contract)
    assert len(found) == 1
    assert mistake in found[0]
