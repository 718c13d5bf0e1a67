"""A model whose sizes or numbers are not what it claims never gets as far as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import pytest

from engines.errors import ModelRejected
from engines.model_files import check_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.unit

Toy = Any


def mistakes_of(path: Path) -> list[str]:
    with pytest.raises(ModelRejected) as rejected:
        check_model(path)
    return rejected.value.mistakes


@pytest.mark.parametrize(
    ("metadata", "mistake"),
    [
        ({"window_size": "24"}, "input 1, the features, must have 24 on axis 2, not 16"),
        ({"subsampling_factor": "4"}, "output 1, the log-probabilities, must have 4 on axis 1, not 2"),
        ({"cache_last_channel_dim3": "8"}, "input 3, the channel cache, must have 8 on axis 3, not 4"),
        ({"cache_last_time_dim1": "1"}, "input 4, the time cache, must have 1 on axis 1, not 2"),
        ({"feature_dim": "64"}, "input 1, the features, must have 64 on axis 1, not 80"),
    ],
)
def test_metadata_that_the_graph_contradicts_is_refused(
    toy_model: Toy, tmp_path: Path, metadata: dict[str, str], mistake: str
) -> None:
    assert mistake in mistakes_of(toy_model.saying(**metadata).write(tmp_path))


def test_a_vocabulary_that_the_graph_contradicts_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    smaller = toy_model.saying(vocab_size="2").but(tokens="a 0\nb 1\n<blk> 2\n")
    assert mistakes_of(smaller.write(tmp_path)) == ["output 1, the log-probabilities, must have 3 on axis 2, not 8"]


def test_an_input_of_another_type_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    found = mistakes_of(toy_model.but(length_type=6).write(tmp_path))
    assert "input 2, the number of frames, must be tensor(int64), not tensor(int32)" in found


def test_an_input_of_another_rank_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    found = mistakes_of(toy_model.but(signal_shape=("a", "b", "c", "d")).write(tmp_path))
    assert found  # ONNX Runtime's own type inference may come first


def test_a_fixed_batch_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    found = mistakes_of(toy_model.but(signal_shape=(1, 80, 16)).write(tmp_path))
    assert "input 1, the features, must leave its batch open, not fix it to 1" in found


def test_sizes_left_open_are_found_out_by_running(toy_model: Toy, tmp_path: Path) -> None:
    open_sized = toy_model.but(signal_shape=("batch", 80, "frames"))
    assert check_model(open_sized.write(tmp_path / "right")).window_frames == 16
    (found,) = mistakes_of(open_sized.saying(window_size="17").write(tmp_path / "wrong"))
    assert found.startswith("it cannot be run")


def test_too_many_outputs_are_refused(toy_model: Toy, tmp_path: Path) -> None:
    (found,) = mistakes_of(toy_model.but(further_outputs=("more",)).write(tmp_path))
    assert found.startswith("it must have 5 outputs")


def test_outputs_that_are_not_log_probabilities_are_refused(
    toy_model: Toy, tmp_path: Path, make_node: Callable[..., bytes]
) -> None:
    plain = toy_model.but(log_probabilities=(make_node("Identity", ["m"], ["logprobs"]),))
    assert mistakes_of(plain.write(tmp_path)) == [
        "its first output must hold log-probabilities: the probabilities of a row must sum to 1"
    ]


def test_outputs_that_are_not_finite_are_refused(
    toy_model: Toy, tmp_path: Path, make_node: Callable[..., bytes]
) -> None:
    undefined = toy_model.but(log_probabilities=(make_node("Log", ["m"], ["logprobs"]),))
    assert mistakes_of(undefined.write(tmp_path)) == ["its log-probabilities must be finite"]


def test_a_cache_that_changes_its_type_on_the_way_is_refused(toy_model: Toy, tmp_path: Path) -> None:
    folder = toy_model.write(tmp_path)
    model = onnx.load(folder / "model.onnx")
    (last,) = (node for node in model.graph.node if node.output == ["next_time"])
    last.CopyFrom(onnx.helper.make_node("Cast", last.input, last.output, to=onnx.TensorProto.FLOAT16))
    model.graph.output[3].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, folder / "model.onnx")
    assert mistakes_of(folder) == [
        "the time cache must go in and come out as one type, not tensor(float) and tensor(float16)"
    ]


def test_what_a_streams_state_takes_is_told_by_its_types(toy_model: Toy, tmp_path: Path) -> None:
    assert check_model(toy_model.write(tmp_path)).state_bytes == 4 * (2 * 3 * 4 + 2 * 4 * 5) + 8


def test_a_model_whose_streams_see_each_other_is_refused(
    toy_model: Toy, tmp_path: Path, make_node: Callable[..., bytes], make_int_attributes: Callable[..., bytes]
) -> None:
    over_the_batch = make_int_attributes("axes", (0,))
    mixed = (
        make_node("ReduceMean", ["m"], ["mean"], attributes=over_the_batch),
        make_node("Sub", ["m", "mean"], ["apart"]),
        make_node("LogSoftmax", ["apart"], ["logprobs"]),
    )
    (found,) = mistakes_of(toy_model.but(log_probabilities=mixed).write(tmp_path))
    assert found.startswith("a stream's results must not depend on who shares its batch")
