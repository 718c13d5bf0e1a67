"""Try a loaded model: do its inputs and outputs have the sizes it claims, and do its numbers make sense?"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engines.onnx_session import NUMPY_TYPES, RUNTIME_ERRORS

if TYPE_CHECKING:
    import onnxruntime

    from engines.contract import FloatArray, ModelContract, TransducerContract

FLOAT, INT64 = "tensor(float)", "tensor(int64)"
FLOAT_OR_HALF = "tensor(float) or tensor(float16)"
_ROWS = 5
_STEPS = 2
_BATCHES = ((0,), (4,), (3, 1), (2, 4, 0), (1, 0, 3, 2))
"""Rows that are tried apart from the others, in this order."""
_SPEECH_LIKE_MEAN, _SPEECH_LIKE_DEVIATION = -7.0, 3.0
_MAX_SUM_ERROR = 1e-2
"""fp16 models give rows that sum to 1 within a few thousandths."""

Dims = tuple[int | None, ...]


class Binding(NamedTuple):
    """What one input or output must be; a None in `dims` is the batch, which stays open.

    `type` is as ONNX Runtime names it; several that are allowed are parted by ` or `.
    """

    role: str
    type: str
    dims: Dims


def outputs_per_step(contract: ModelContract | TransducerContract) -> int:
    """How many rows of log-probabilities one step gives."""
    return contract.shift_frames // contract.subsampling


def binding_mistakes(session: onnxruntime.InferenceSession, contract: ModelContract) -> list[str]:
    """Hold the declared inputs and outputs, by position, against the contract."""
    caches = (
        Binding("the channel cache", FLOAT_OR_HALF, (None, *contract.cache_channel_shape)),
        Binding("the time cache", FLOAT_OR_HALF, (None, *contract.cache_time_shape)),
        Binding("the length of the channel cache", INT64, (None,)),
    )
    inputs = (
        Binding("the features", FLOAT_OR_HALF, (None, contract.feature_dim, contract.window_frames)),
        Binding("the number of frames", INT64, (None,)),
        *caches,
    )
    outputs = (
        Binding("the log-probabilities", FLOAT_OR_HALF, (None, outputs_per_step(contract), contract.vocab_size + 1)),
        Binding("the number of outputs", INT64, (None,)),
        *caches,
    )
    try:
        given_inputs, given_outputs = session.get_inputs(), session.get_outputs()
        mistakes = [
            *compare_bindings("input", inputs, given_inputs),
            *compare_bindings("output", outputs, given_outputs),
        ]
    except UnicodeDecodeError:  # names are decoded only when they are asked for
        return ["its inputs and outputs must be named in UTF-8"]
    return mistakes or [
        f"{cache.role} must go in and come out as one type, not {before.type} and {after.type}"
        for cache, before, after in zip(caches, given_inputs[2:], given_outputs[2:], strict=True)
        if before.type != after.type
    ]


def compare_bindings(side: str, wanted: tuple[Binding, ...], given: list[Any]) -> list[str]:
    """Hold what a file declares, by position, against what it must be; `side` is `input` or `output`."""
    if len(given) != len(wanted):
        names = ", ".join(binding.role for binding in wanted)
        return [f"it must have {len(wanted)} {side}s ({names}), not {len(given)}"]
    mistakes = []
    for number, (binding, found) in enumerate(zip(wanted, given, strict=True), start=1):
        what = f"{side} {number}, {binding.role},"
        if found.type not in binding.type.split(" or "):
            mistakes.append(f"{what} must be {binding.type}, not {found.type}")
        if len(found.shape) != len(binding.dims):
            mistakes.append(f"{what} must have {len(binding.dims)} axes, not {len(found.shape)}")
            continue
        for axis, (size, declared) in enumerate(zip(binding.dims, found.shape, strict=True)):
            if size is None and isinstance(declared, int):
                mistakes.append(f"{what} must leave its batch open, not fix it to {declared}")
            elif isinstance(declared, int) and declared != size:
                mistakes.append(f"{what} must have {size} on axis {axis}, not {declared}")
    return mistakes


def state_bytes(session: onnxruntime.InferenceSession, contract: ModelContract) -> int:
    """Give what the state of one stream takes, in the types that the model takes it in."""
    types = [np.dtype(NUMPY_TYPES[given.type]) for given in session.get_inputs()[2:]]
    shapes = contract.cache_channel_shape, contract.cache_time_shape, ()
    return sum(prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, types, strict=True))


def warm_up_mistakes(session: onnxruntime.InferenceSession, contract: ModelContract) -> list[str]:
    """Run two steps of five made-up streams together, and in smaller batches: the numbers must agree bit for bit."""
    shape = (_STEPS, _ROWS, contract.feature_dim, contract.window_frames)
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    features = _SPEECH_LIKE_MEAN + _SPEECH_LIKE_DEVIATION * noise
    try:
        together = _run_steps(session, contract, features)
        apart = [(rows, _run_steps(session, contract, features[:, list(rows)])) for rows in _BATCHES]
    except RUNTIME_ERRORS as error:
        return [f"it cannot be run: {str(error).strip()[:300]}"]
    mistakes = _result_mistakes(together, contract)
    if not mistakes and not all(
        np.array_equal(output[list(rows)], own)
        for rows, outputs in apart
        for output, own in zip(together, outputs, strict=True)
    ):
        mistakes.append(
            "a stream's results must not depend on who shares its batch (dynamic int8 quantisation breaks this)"
        )
    return mistakes


def _run_steps(session: onnxruntime.InferenceSession, contract: ModelContract, features: FloatArray) -> list[Any]:
    """Give all outputs of the last step."""
    inputs = session.get_inputs()
    names = [given.name for given in inputs]
    types = [NUMPY_TYPES[given.type] for given in inputs]
    batch = features.shape[1]
    outputs: list[Any] = [
        None,
        None,
        np.zeros((batch, *contract.cache_channel_shape), types[2]),
        np.zeros((batch, *contract.cache_time_shape), types[3]),
        np.zeros(batch, types[4]),
    ]
    lengths = np.full(batch, contract.window_frames, types[1])
    for window in features:
        signal = np.ascontiguousarray(window, types[0])
        outputs = session.run(None, dict(zip(names, (signal, lengths, *outputs[2:]), strict=True)))
    return outputs


def _result_mistakes(outputs: list[Any], contract: ModelContract) -> list[str]:
    shapes = (
        (_ROWS, outputs_per_step(contract), contract.vocab_size + 1),
        (_ROWS,),
        (_ROWS, *contract.cache_channel_shape),
        (_ROWS, *contract.cache_time_shape),
        (_ROWS,),
    )
    mistakes = [
        f"output {number} must come out as {shape}, not {output.shape}"
        for number, (shape, output) in enumerate(zip(shapes, outputs, strict=True), start=1)
        if output.shape != shape
    ]
    log_probabilities = outputs[0]
    if not np.isfinite(log_probabilities).all():
        mistakes.append("its log-probabilities must be finite")
    elif np.abs(np.exp(log_probabilities.astype(np.float64)).sum(-1) - 1.0).max() > _MAX_SUM_ERROR:
        mistakes.append("its first output must hold log-probabilities: the probabilities of a row must sum to 1")
    return mistakes
