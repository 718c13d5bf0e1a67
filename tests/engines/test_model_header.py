"""A model's header is read without trusting one byte of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.model_header import MAX_NESTING, HeaderGarbled, read_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.unit

Toy = Any


def test_a_header_names_other_files_domains_and_metadata(
    toy_model: Toy, tmp_path: Path, make_external_tensor: Callable[..., bytes], make_node: Callable[..., bytes]
) -> None:
    model = toy_model.but(
        weights=make_external_tensor("w", (640, 8), "weights.bin"),
        log_probabilities=(make_node("Gelu", ["m"], ["logprobs"], domain="com.microsoft"),),
        metadata={"window_size": "16", "language": "en"},
    )
    header = read_header(model.write(tmp_path) / "model.onnx")
    assert header.external_files == {"weights.bin"}
    assert header.operator_domains == {"", "com.microsoft"}
    assert header.metadata_keys == ["window_size", "language"]


def test_a_header_tells_operators_and_what_weights_take(toy_model: Toy, tmp_path: Path) -> None:
    header = read_header(toy_model.write(tmp_path) / "model.onnx")
    operators = [node.operator for node in header.nodes]
    assert operators[:4] == ["Transpose", "Reshape", "MatMul", "LogSoftmax"]
    assert header.nodes[2].inputs == ("r", "w")
    assert header.nodes[2].outputs == ("m",)
    assert header.tensor_names == {"rows", "w"}
    float32, int64 = 1, 7
    assert header.elements == {float32: 640 * 8, int64: 3}
    assert header.weights_bytes == 4 * 640 * 8 + 8 * 3


def test_external_weights_are_counted_though_they_lie_elsewhere(
    toy_model: Toy, tmp_path: Path, make_external_tensor: Callable[..., bytes]
) -> None:
    model = toy_model.but(weights=make_external_tensor("w", (640, 8), "weights.bin"))
    assert read_header(model.write(tmp_path) / "model.onnx").weights_bytes == 4 * 640 * 8 + 8 * 3


def test_weights_named_inside_a_nested_graph_are_found(
    toy_model: Toy,
    tmp_path: Path,
    make_external_tensor: Callable[..., bytes],
    make_node: Callable[..., bytes],
    make_proto_field: Callable[..., bytes],
) -> None:
    graph = make_proto_field(5, make_external_tensor("hidden", (1,), "../hidden.bin"))
    branch = make_proto_field(5, make_proto_field(1, "then_branch") + make_proto_field(6, graph))
    model = toy_model.but(log_probabilities=(make_node("If", ["m"], ["logprobs"], attributes=branch),))
    assert read_header(model.write(tmp_path) / "model.onnx").external_files == {"../hidden.bin"}


def test_endless_nesting_is_garbled(
    tmp_path: Path, make_node: Callable[..., bytes], make_proto_field: Callable[..., bytes]
) -> None:
    graph = b""
    for _ in range(MAX_NESTING):
        graph = make_proto_field(1, make_node("If", [], [], attributes=make_proto_field(5, make_proto_field(6, graph))))
    path = tmp_path / "deep.onnx"
    path.write_bytes(make_proto_field(7, graph))
    with pytest.raises(HeaderGarbled, match="levels deep"):
        read_header(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\x08\x08", "no graph"),
        (b"\x3a\x05\x00", "cut off"),
        (b"\x00\x00", "number 0"),
        (b"\x3b", "wire type 3"),
        (b"\x08" + b"\xff" * 10, "longer than 10 bytes"),
        (b"\x72\x04\x0a\x02\xff\xfe", "not UTF-8"),
        (b"<html>not a model</html>", "wire type"),
    ],
)
def test_what_is_not_a_model_is_garbled(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(HeaderGarbled, match=why):
        read_header(path)


@given(st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz_any_bytes_are_a_header_or_garbled(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    why = "it was read"
    try:
        read_header(path)
    except HeaderGarbled as garbled:
        why = str(garbled)
    assert why
