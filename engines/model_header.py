"""What an ONNX file says of itself, read from its bytes without building or running anything.

ONNX Runtime tells its own story of a model (inputs, outputs, metadata). What it does not tell is here: which other
files hold weights, how many there are of which type, which operators are used, and whether a metadata key is given
twice. Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto),
github.com/onnx/onnx.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_NESTING = 64
"""Graphs within graphs; real exports nest two or three."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

# For each message the fields that hold messages worth entering.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "metadata", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse_tensor"},
    "function": {7: "node", 9: "opset"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse_tensor", 23: "sparse_tensor"},
    "sparse_tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external_data"},
}
_GRAPH_OF_A_MODEL = 7
_KEY, _VALUE, _OPSET_DOMAIN = 1, 2, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_DOMAIN = 1, 2, 4, 7
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME = 1, 2, 8

# Bits of one element, by TensorProto.DataType; of types that are not listed nothing is counted.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 21: 4, 22: 4}


class HeaderGarbled(ValueError):
    """The bytes are not an ONNX model."""


class NodeHeader(NamedTuple):
    """One operator as it is used, in the main graph or in one inside it."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(slots=True)
class ModelHeader:
    """`external_files` are the locations as written, relative to the model's folder; "" is ONNX's own domain.

    `elements` counts the numbers of all weights and constants by their type (TensorProto.DataType).
    """

    external_files: set[str] = field(default_factory=set)
    operator_domains: set[str] = field(default_factory=set)
    metadata_keys: list[str] = field(default_factory=list)
    nodes: list[NodeHeader] = field(default_factory=list)
    tensor_names: set[str] = field(default_factory=set)
    elements: dict[int, int] = field(default_factory=dict)

    @property
    def weights_bytes(self) -> int:
        """What all weights and constants take."""
        return sum(count * _BITS.get(data_type, 0) for data_type, count in self.elements.items()) // 8


def read_header(path: Path) -> ModelHeader:
    """Walk the file once; weights are stepped over, not read.

    Raises:
        HeaderGarbled: not a protobuf message with a graph, or nested beyond `MAX_NESTING`.
        OSError: the file cannot be read.
    """
    header = ModelHeader()
    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise HeaderGarbled("the file is empty") from error
        with content:
            _walk(content, 0, len(content), "model", header, MAX_NESTING)
            has_graph = any(number == _GRAPH_OF_A_MODEL for number, _, _, _ in _fields(content, 0, len(content)))
    if not has_graph:
        raise HeaderGarbled("it holds no graph")
    return header


def _walk(content: mmap.mmap, start: int, end: int, kind: str, header: ModelHeader, levels_left: int) -> None:
    if not levels_left:
        raise HeaderGarbled(f"it is nested more than {MAX_NESTING} levels deep")
    inside = _INSIDE.get(kind, {})
    texts: dict[int, list[str]] = {}
    numbers: dict[int, list[int]] = {}
    for number, wire_type, field_start, field_end in _fields(content, start, end):
        if (kind, number) in _NUMBERS:
            numbers.setdefault(number, []).extend(_numbers(content, wire_type, field_start, field_end))
        elif wire_type != _BYTES:
            continue
        elif number in inside:
            _walk(content, field_start, field_end, inside[number], header, levels_left - 1)
        elif (kind, number) in _TEXTS:
            texts.setdefault(number, []).append(_text(content, field_start, field_end))
    _keep(kind, texts, header)
    if kind == "tensor":
        (data_type,) = numbers.get(_TENSOR_TYPE, [0])[-1:]
        count = prod(numbers.get(_TENSOR_DIMS, []))
        header.elements[data_type] = header.elements.get(data_type, 0) + count


_TEXTS = {
    ("external_data", _KEY),
    ("external_data", _VALUE),
    ("metadata", _KEY),
    ("node", _NODE_INPUT),
    ("node", _NODE_OUTPUT),
    ("node", _NODE_OPERATOR),
    ("node", _NODE_DOMAIN),
    ("opset", _OPSET_DOMAIN),
    ("tensor", _TENSOR_NAME),
}
_NUMBERS = {("tensor", _TENSOR_DIMS), ("tensor", _TENSOR_TYPE)}


def _keep(kind: str, texts: dict[int, list[str]], header: ModelHeader) -> None:
    def last(number: int) -> str:
        return texts.get(number, [""])[-1]

    if kind == "external_data" and last(_KEY) == "location":
        header.external_files.add(last(_VALUE))
    elif kind == "metadata":
        header.metadata_keys.append(last(_KEY))
    elif kind == "node":
        header.operator_domains.add(last(_NODE_DOMAIN))
        inputs, outputs = texts.get(_NODE_INPUT, []), texts.get(_NODE_OUTPUT, [])
        header.nodes.append(NodeHeader(last(_NODE_OPERATOR), tuple(inputs), tuple(outputs)))
    elif kind == "opset":
        header.operator_domains.add(last(_OPSET_DOMAIN))
    elif kind == "tensor":
        header.tensor_names.add(last(_TENSOR_NAME))


def _numbers(content: mmap.mmap, wire_type: int, start: int, end: int) -> Iterator[int]:
    """Give the integers of a field, written one by one or packed."""
    if wire_type == _BYTES:
        at = start
        while at < end:
            value, at = _varint(content, at, end)
            yield value
    elif wire_type == _VARINT:
        yield _varint(content, start, end)[0]


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Give (number, wire type, start, end) of each field of the message in [start, end)."""
    at = start
    while at < end:
        key, at = _varint(content, at, end)
        number, wire_type = key >> 3, key & 7
        if not number:
            raise HeaderGarbled("a field has number 0")
        if wire_type == _VARINT:
            _, field_end = _varint(content, at, end)
        elif wire_type == _BYTES:
            length, at = _varint(content, at, end)
            field_end = at + length
        elif wire_type in _FIXED_SIZES:
            field_end = at + _FIXED_SIZES[wire_type]
        else:
            raise HeaderGarbled(f"a field has wire type {wire_type}")
        if field_end > end:
            raise HeaderGarbled("it is cut off")
        yield number, wire_type, at, field_end
        at = field_end


def _varint(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """Give the number and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise HeaderGarbled("it is cut off")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise HeaderGarbled("a number is longer than 10 bytes")


def _text(content: mmap.mmap, start: int, end: int) -> str:
    try:
        return content[start:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise HeaderGarbled("a name is not UTF-8") from error
