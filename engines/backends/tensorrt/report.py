"""What a build came to, in plain values: written into the engine file, printed by `patchbay engine`."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

MAX_NAMED = 200
"""Names of layers kept in a report; the counts are of all."""


class AccuracyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An engine beside ONNX Runtime's CPU on the same features. See accuracy.py for what counts."""

    probe: str
    """What the features were: recordings, or made-up ones, which say little of words."""
    streams: int
    steps: int
    max_difference: float
    """Largest difference of log-probabilities that matter."""
    tolerance: float
    are_pieces_equal: bool

    @property
    def is_good(self) -> bool:
        return self.are_pieces_equal and self.max_difference <= self.tolerance


class LayerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What TensorRT made of the model: `layers` after fusion, by kind; how many different `tactics` they use."""

    layers: int
    kinds: dict[str, int]
    tactics: int
    data_types: dict[str, int]
    """Of the layers' outputs."""


class BuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """`level` is what the precision came to: half, half_weights or full."""

    precision: str
    level: str
    half_layers: tuple[str, ...]
    full_layers: tuple[str, ...]
    """Products that stay in fp32; of the others only fp32 was ever thought of."""
    half_count: int
    full_count: int
    accuracy: AccuracyFigures
    rejected_levels: dict[str, AccuracyFigures]
    """Levels that were tried before, and why they would not do."""
    layers: LayerFigures
    network_layers: int
    onnx_bytes: int
    plan_bytes: int
    build_seconds: float
    timing_cache_bytes: int
    warnings: tuple[str, ...]
    rebuilt_because: tuple[str, ...] = ()


def layer_figures(described: str) -> LayerFigures:
    """Read the JSON of TensorRT's engine inspector; what it does not say counts as nothing.

    Each layer is an object (a bare name at low verbosity) with `LayerType`, `TacticName` and `Outputs`; an output has
    `Format/Datatype` up to TensorRT 10 and `DataType` from 11 on (docs.nvidia.com, "IEngineInspector JSON Output").
    """
    try:
        found = json.loads(described) if described else {}
    except ValueError:
        found = {}
    layers = found.get("Layers", []) if isinstance(found, dict) else []
    known = [layer for layer in layers if isinstance(layer, dict)]
    tactics = {str(layer["TacticName"]) for layer in known if layer.get("TacticName")}
    data_types = Counter(_data_type(output) for layer in known for output in layer.get("Outputs", []))
    return LayerFigures(
        layers=len(layers),
        kinds=dict(Counter(str(layer.get("LayerType", "unknown")) for layer in known).most_common()),
        tactics=len(tactics),
        data_types=dict(data_types.most_common()),
    )


def _data_type(output: Any) -> str:
    if not isinstance(output, dict):
        return "unknown"
    text = str(output.get("DataType") or output.get("Format/Datatype") or "unknown")
    words = text.lower()
    for sign, name in (("int64", "int64"), ("int32", "int32"), ("fp16", "fp16"), ("half", "fp16"), ("bool", "bool")):
        if sign in words:
            return name
    return "fp32" if "fp32" in words or "float" in words else text[:40]
