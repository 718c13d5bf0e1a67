"""The embedded model in other precisions, made anew by each run of the tests, and what plain ONNX Runtime says of any.

`Reference` uses nothing of ours: it runs one stream at a time, alone, with the state that the model itself gave back.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines.contract import FloatArray

EMBEDDED_MODEL = Path(__file__).parents[2] / "engines" / "models" / "embedded"
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
_CALIBRATION_STREAMS, _CALIBRATION_STEPS = 4, 8
_WINDOW_FRAMES, _FEATURES = 39, 80


class Reference:
    """A model file on ONNX Runtime's CPU provider, as its documentation says."""

    def __init__(self, model_file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])

    def steps(self, windows: FloatArray) -> Iterator[tuple[dict[str, Any], list[Any]]]:
        """Give inputs and outputs of each step of streams that share their batch; windows are (steps, streams, ...)."""
        inputs = self._session.get_inputs()
        streams = windows.shape[1]
        states = [np.zeros((streams, *(size for size in given.shape[1:])), _TYPES[given.type]) for given in inputs[2:]]
        for window in windows:
            signal = np.ascontiguousarray(window.transpose(0, 2, 1)).astype(_TYPES[inputs[0].type])
            lengths = np.full(streams, window.shape[1], np.int64)
            named = dict(zip((given.name for given in inputs), (signal, lengths, *states), strict=True))
            outputs = self._session.run(None, named)
            states = outputs[2:]
            yield named, outputs

    def rows(self, streams: FloatArray) -> FloatArray:
        """Give (streams, steps, outputs per step, pieces) of (streams, steps, window, features)."""
        found: FloatArray = np.stack(
            [
                np.stack([outputs[0][0] for _, outputs in self.steps(stream[:, None])]).astype(np.float32)
                for stream in streams
            ]
        )
        return found


def speech(*, streams: int, steps: int, seed: int = 0) -> FloatArray:
    """Give made-up features as loud as speech, (streams, steps, window, features)."""
    shape = (streams, steps, _WINDOW_FRAMES, _FEATURES)
    made: FloatArray = -7 + 3 * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return made


def write_float16(folder: Path, *, keeps_float32_outside: bool) -> Path:
    """Write the embedded model in float16, with inputs and outputs of float32 or of float16 too."""
    model = convert_float_to_float16(onnx.load(EMBEDDED_MODEL / "model.onnx"), keep_io_types=keeps_float32_outside)
    onnx.save(model, _folder(folder) / "model.onnx")
    return folder


def write_static_int8(folder: Path) -> Path:
    """Write the embedded model with its products in int8, by scales found on a few made-up streams."""
    quantize_static(
        EMBEDDED_MODEL / "model.onnx",
        _folder(folder) / "model.onnx",
        _Calibration(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return folder


def write_dynamic_int8(folder: Path, *, operators: list[str]) -> Path:
    """Write the embedded model in int8 that takes its scales while it runs."""
    quantize_dynamic(EMBEDDED_MODEL / "model.onnx", _folder(folder) / "model.onnx", op_types_to_quantize=operators)
    return folder


class _Calibration(CalibrationDataReader):
    def __init__(self) -> None:
        windows = speech(streams=_CALIBRATION_STREAMS, steps=_CALIBRATION_STEPS).swapaxes(0, 1)
        self._inputs = (inputs for inputs, _ in Reference(EMBEDDED_MODEL / "model.onnx").steps(windows))

    def get_next(self) -> dict[str, Any] | None:
        return next(self._inputs, None)


def _folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(EMBEDDED_MODEL / "tokens.txt", folder)
    return folder
