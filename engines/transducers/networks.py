"""The three networks of a transducer on ONNX Runtime, their tensors bound by position.

Decoder and joiner never see a single row: for one row a runtime may take a product of matrix and vector, which may sum
in another order than the product of matrices for several, and a stream's words would depend on who shares its step.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engines.onnx_session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import onnxruntime

    from engines.contract import FloatArray, IndexArray

    Tensor = npt.NDArray[Any]

_FEWEST_ROWS = 2


class TransducerFiles(NamedTuple):
    """The ONNX files of one model, all in one folder."""

    encoder: Path
    decoder: Path
    joiner: Path


class Networks:
    """Three sessions, loaded from files.

    Raises:
        one of RUNTIME_ERRORS: from loading, and from every call.
    """

    def __init__(self, files: TransducerFiles, *, threads: int) -> None:
        self.encoder = open_session(files.encoder, threads=threads)
        self.decoder = open_session(files.decoder, threads=threads)
        self.joiner = open_session(files.joiner, threads=threads)
        self.fewest_encoder_rows = 1
        """A smaller batch is filled up by repeating its first row; see `engines.transducers.trial`."""
        self._names = {
            id(session): [given.name for given in session.get_inputs()]
            for session in (self.encoder, self.decoder, self.joiner)
        }

    def encode(self, features: FloatArray, states: Sequence[Tensor], batch_axes: Sequence[int]) -> list[Tensor]:
        """Run the encoder one step.

        Args:
            features: (batch, window_frames, feature_dim) float32.
            states: one tensor for each state, the batch at its axis.

        Returns:
            (batch, rows, joiner_dim) float32 and the next states.
        """
        batch = len(features)
        missing = self.fewest_encoder_rows - batch
        if missing <= 0:
            return self._run(self.encoder, features, *states)
        axes = (0, *batch_axes)
        padded = [_repeat_first(tensor, missing, axis) for tensor, axis in zip((features, *states), axes, strict=True)]
        found = self._run(self.encoder, *padded)
        return [tensor.take(range(batch), axis=axis) for tensor, axis in zip(found, axes, strict=True)]

    def decode(self, contexts: IndexArray) -> FloatArray:
        """Turn the last pieces, (batch, context_size) int64, into (batch, joiner_dim) float32."""
        return self._run_rows(self.decoder, contexts)

    def join(self, encoder_out: FloatArray, decoder_out: FloatArray) -> FloatArray:
        """Turn one row of each, (batch, joiner_dim), into (batch, vocab_size + 1) float32, not normalised."""
        return self._run_rows(self.joiner, encoder_out, decoder_out)

    def _run_rows(self, session: onnxruntime.InferenceSession, *rows: Tensor) -> FloatArray:
        batch = len(rows[0])
        if batch < _FEWEST_ROWS:
            rows = tuple(_repeat_first(row, _FEWEST_ROWS - batch, 0) for row in rows)
        found: FloatArray = self._run(session, *rows)[0][:batch]
        return found

    def _run(self, session: onnxruntime.InferenceSession, *tensors: Tensor) -> list[Tensor]:
        found: list[Tensor] = session.run(None, dict(zip(self._names[id(session)], tensors, strict=True)))
        return found


def initial_context(context_size: int) -> IndexArray:
    """What a decoder reads before anything was said: nothing, and then a blank (sherpa-onnx's empty result)."""
    context = np.full(context_size, -1, np.int64)
    context[-1] = 0
    return context


def _repeat_first(tensor: Tensor, times: int, axis: int) -> Tensor:
    return np.concatenate([tensor, *[tensor.take([0], axis=axis)] * times], axis=axis)
