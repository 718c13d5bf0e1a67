"""A toy model that keeps the contract, written field by field, so that tests can break one thing at a time."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FLOAT, INT64 = 1, 7
_ATTRIBUTE_INT, _ATTRIBUTE_INTS = 2, 7
BATCH = "batch"

EMBEDDED_MODEL = Path(__file__).parents[2] / "engines" / "models" / "embedded"


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def proto_field(number: int, value: int | str | bytes) -> bytes:
    """Encode one protobuf field: a number as a varint, everything else with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def proto_fields(number: int, values: Iterable[int | str | bytes]) -> bytes:
    return b"".join(proto_field(number, value) for value in values)


def value_info(name: str, element_type: int, dims: Sequence[int | str]) -> bytes:
    shape = proto_fields(1, [proto_field(1, d) if isinstance(d, int) else proto_field(2, d) for d in dims])
    return proto_field(1, name) + proto_field(2, proto_field(1, proto_field(1, element_type) + proto_field(2, shape)))


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", attributes: bytes = b""
) -> bytes:
    named = proto_fields(1, inputs) + proto_fields(2, outputs) + proto_field(4, operator)
    return named + (proto_field(7, domain) if domain else b"") + attributes


def int_attribute(name: str, value: int) -> bytes:
    return proto_field(5, proto_field(1, name) + proto_field(3, value) + proto_field(20, _ATTRIBUTE_INT))


def ints_attribute(name: str, values: Sequence[int]) -> bytes:
    return proto_field(5, proto_field(1, name) + proto_fields(8, values) + proto_field(20, _ATTRIBUTE_INTS))


def float_tensor(name: str, values: np.ndarray) -> bytes:
    raw = values.astype("<f4").tobytes()
    return proto_fields(1, values.shape) + proto_field(2, FLOAT) + proto_field(8, name) + proto_field(9, raw)


def int_tensor(name: str, values: Sequence[int]) -> bytes:
    raw = struct.pack(f"<{len(values)}q", *values)
    return proto_field(1, len(values)) + proto_field(2, INT64) + proto_field(8, name) + proto_field(9, raw)


def external_tensor(name: str, shape: Sequence[int], location: str) -> bytes:
    length = 4 * int(np.prod(shape))
    entries = {"location": location, "offset": "0", "length": str(length)}
    external = proto_fields(13, [proto_field(1, key) + proto_field(2, value) for key, value in entries.items()])
    dims = proto_fields(1, shape)
    return dims + proto_field(2, FLOAT) + proto_field(8, name) + external + proto_field(14, 1)


TOY_FEATURES, TOY_WINDOW, TOY_SHIFT, TOY_SUBSAMPLING, TOY_VOCAB = 80, 16, 16, 8, 7
TOY_ROWS = TOY_SHIFT // TOY_SUBSAMPLING
TOY_CHANNEL, TOY_TIME = (2, 3, 4), (2, 4, 5)
_WEIGHTS_SHAPE = (TOY_SUBSAMPLING * TOY_FEATURES, TOY_VOCAB + 1)


def _toy_weights() -> np.ndarray:
    return np.random.default_rng(7).standard_normal(_WEIGHTS_SHAPE) * 0.05


def _toy_metadata() -> dict[str, str]:
    sizes = {
        "window_size": TOY_WINDOW,
        "chunk_shift": TOY_SHIFT,
        "subsampling_factor": TOY_SUBSAMPLING,
        "vocab_size": TOY_VOCAB,
    }
    for cache, shape in (("cache_last_channel", TOY_CHANNEL), ("cache_last_time", TOY_TIME)):
        sizes |= {f"{cache}_dim{axis}": size for axis, size in enumerate(shape, start=1)}
    return {key: str(size) for key, size in sizes.items()}


@dataclass(frozen=True)
class ToyModel:
    """Two rows a step, each a linear view of eight frames; the caches go through unchanged."""

    metadata: dict[str, str | bytes] = field(default_factory=_toy_metadata)
    signal_shape: tuple[int | str, ...] = (BATCH, TOY_FEATURES, TOY_WINDOW)
    log_probabilities: tuple[bytes, ...] = (
        node("LogSoftmax", ["m"], ["logprobs"], attributes=int_attribute("axis", 2)),
    )
    """The last nodes, from `m`, (batch, 2, 8), to `logprobs`."""
    weights: bytes = field(default_factory=lambda: float_tensor("w", _toy_weights()))
    length_type: int = INT64
    has_length: bool = True
    further_outputs: tuple[str, ...] = ()
    opset_domains: tuple[str, ...] = ("",)
    opset: int = 17
    tokens: str | bytes = "<unk> 0\n\u2581one 1\n\u2581two 2\nn 3\n 4\n\u2581 5\nty 6\n<blk> 7\n"

    def but(self, **changes: object) -> ToyModel:
        return replace(self, **changes)  # type: ignore[arg-type]

    def saying(self, **metadata: str | bytes | None) -> ToyModel:
        """Change single entries of the metadata; None leaves one out."""
        changed = {key: value for key, value in (self.metadata | metadata).items() if value is not None}
        return replace(self, metadata=changed)

    def onnx(self) -> bytes:
        nodes = (
            node("Transpose", ["signal"], ["t"], attributes=ints_attribute("perm", (0, 2, 1))),
            node("Reshape", ["t", "rows"], ["r"]),
            node("MatMul", ["r", "w"], ["m"]),
            *self.log_probabilities,
            node("Identity", ["length" if self.has_length else "cache_length"], ["lengths"]),
            node("Identity", ["channel"], ["next_channel"]),
            node("Identity", ["time"], ["next_time"]),
            node("Identity", ["cache_length"], ["next_cache_length"]),
            *(node("Identity", ["channel"], [name]) for name in self.further_outputs),
        )
        caches = (("channel", FLOAT, TOY_CHANNEL), ("time", FLOAT, TOY_TIME), ("cache_length", INT64, ()))
        inputs = (
            value_info("signal", FLOAT, self.signal_shape),
            *([value_info("length", self.length_type, (BATCH,))] if self.has_length else []),
            *(value_info(name, kind, (BATCH, *shape)) for name, kind, shape in caches),
        )
        outputs = (
            value_info("logprobs", FLOAT, (BATCH, TOY_ROWS, TOY_VOCAB + 1)),
            value_info("lengths", self.length_type, (BATCH,)),
            *(value_info(f"next_{name}", kind, (BATCH, *shape)) for name, kind, shape in caches),
            *(value_info(name, FLOAT, (BATCH, *TOY_CHANNEL)) for name in self.further_outputs),
        )
        tensors = (int_tensor("rows", (-1, TOY_ROWS, _WEIGHTS_SHAPE[0])), self.weights)
        graph = proto_fields(1, nodes) + proto_field(2, "toy") + proto_fields(5, tensors)
        graph += proto_fields(11, inputs) + proto_fields(12, outputs)
        opsets = [
            (proto_field(1, domain) if domain else b"") + proto_field(2, self.opset) for domain in self.opset_domains
        ]
        metadata = [proto_field(1, key) + proto_field(2, value) for key, value in self.metadata.items()]
        return proto_field(1, 8) + proto_field(7, graph) + proto_fields(8, opsets) + proto_fields(14, metadata)

    def write(self, folder: Path) -> Path:
        """Write model.onnx and tokens.txt; give the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(self.onnx())
        tokens = self.tokens.encode() if isinstance(self.tokens, str) else self.tokens
        (folder / "tokens.txt").write_bytes(tokens)
        return folder


@pytest.fixture(scope="session")
def toy_model() -> ToyModel:
    return ToyModel()


@pytest.fixture(scope="session")
def make_node() -> Callable[..., bytes]:
    return node


@pytest.fixture(scope="session")
def make_external_tensor() -> Callable[..., bytes]:
    return external_tensor


@pytest.fixture(scope="session")
def make_proto_field() -> Callable[..., bytes]:
    return proto_field


@pytest.fixture(scope="session")
def embedded_model() -> Path:
    return EMBEDDED_MODEL


@pytest.fixture(scope="session")
def make_int_attributes() -> Callable[..., bytes]:
    return ints_attribute
