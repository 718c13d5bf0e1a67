"""Which precision a model's weights have, and whether its activations are quantised by scales that are its own. PURE.

int8 is welcome with static scales, those found by calibration and written into the file. With dynamic ones ONNX Runtime
takes one scale over the whole batch, so that a stream's words depend on who shares it: neither isolation nor replay
would hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.model_header import ModelHeader

_FLOAT, _FLOAT16, _BFLOAT16 = 1, 10, 16
_PRECISIONS = {_FLOAT: "fp32", _FLOAT16: "fp16", _BFLOAT16: "bf16"}

_DYNAMIC = "DynamicQuantize"
"""How the names of operators begin that take their scale from what they are given (ONNX and com.microsoft)."""
_QUANTISED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "MatMulInteger",
    "ConvInteger",
    "MatMulIntegerToFloat",
    "MatMulNBits",
)
_QUANTISED_PREFIX = "QLinear"
_QUANTISERS = ("QuantizeLinear",)
_SCALE_INPUT = 1
_DICE = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")


def precision_of(header: ModelHeader) -> str:
    """Give `int8 static` for a quantised model, else the type of most of its weights: `fp32`, `fp16`, `bf16`."""
    if any(node.operator in _QUANTISED or node.operator.startswith(_QUANTISED_PREFIX) for node in header.nodes):
        return "int8 static"
    counts = {data_type: header.elements.get(data_type, 0) for data_type in _PRECISIONS}
    return _PRECISIONS[max(counts, key=lambda data_type: counts[data_type])]


def quantisation_mistakes(header: ModelHeader) -> list[str]:
    """Give a sentence where activations are quantised by scales that are computed while the model runs."""
    dynamic = {node.operator for node in header.nodes if node.operator.startswith(_DYNAMIC)}
    constants = _constants(header)
    dynamic |= {
        f"{node.operator} with a computed scale"
        for node in header.nodes
        if node.operator in _QUANTISERS
        and len(node.inputs) > _SCALE_INPUT
        and node.inputs[_SCALE_INPUT] not in constants
    }
    if not dynamic:
        return []
    return [
        f"it is quantised dynamically ({', '.join(sorted(dynamic))}): one scale would be taken for the whole batch, "
        "and a stream's words would depend on who shares it; quantise with static scales, or use float16"
    ]


def _constants(header: ModelHeader) -> set[str]:
    """Give the values that do not depend on the model's inputs."""
    constants = set(header.tensor_names)
    for node in header.nodes:
        given = [name for name in node.inputs if name]
        if node.operator == "Constant" or (given and node.operator not in _DICE and constants.issuperset(given)):
            constants.update(node.outputs)
    return constants
