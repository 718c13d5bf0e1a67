"""A plain greedy decoder over the exported file: one stream, one chunk at a time, for measuring and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from engines.models.recipe.speech.features import SAMPLE_RATE_HZ, log_mel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BLANK = "<blk>"
_WORD_START = "\u2581"
TAIL_S = 0.6  # a stream has no partial last chunk, so its end is filled with silence


@dataclass(frozen=True, slots=True)
class Decoding:
    """What one recording gave.

    Attributes:
        text: the words.
        log_probs: (num_outputs, vocabulary) float32, one row per 80 ms.
    """

    text: str
    log_probs: NDArray[np.float32]

    @property
    def margin(self) -> float:
        """Smallest distance in log-probability between best and second best over all outputs."""
        best = np.sort(self.log_probs, axis=-1)
        return float((best[:, -1] - best[:, -2]).min()) if len(best) else 0.0


class GreedyDecoder:
    """Reads `model.onnx` and `tokens.txt`; inputs and outputs are bound by position, as the contract wants."""

    def __init__(self, folder: Path, *, file_name: str = "model.onnx") -> None:
        """Load on one thread of the CPU."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / file_name), options, providers=["CPUExecutionProvider"]
        )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._window_frames = int(metadata["window_size"])
        self._shift_frames = int(metadata["chunk_shift"])
        self._channel_shape = tuple(int(metadata[f"cache_last_channel_dim{axis}"]) for axis in (1, 2, 3))
        self._time_shape = tuple(int(metadata[f"cache_last_time_dim{axis}"]) for axis in (1, 2, 3))
        self._input_names = [node.name for node in self._session.get_inputs()]
        self._tokens = read_tokens(folder / "tokens.txt")
        self._blank = self._tokens.index(BLANK)

    @property
    def outputs_per_chunk(self) -> int:
        """Outputs of one call, each 80 ms."""
        return self._shift_frames // 8

    @property
    def vocabulary_size(self) -> int:
        """Rows of tokens.txt, the blank included."""
        return len(self._tokens)

    def fresh_state(self, batch: int = 1) -> list[NDArray[np.generic]]:
        """The three caches of streams that have heard nothing."""
        return [
            np.zeros((batch, *self._channel_shape), np.float32),
            np.zeros((batch, *self._time_shape), np.float32),
            np.zeros(batch, np.int64),
        ]

    def step(
        self, windows: NDArray[np.float32], state: list[NDArray[np.generic]]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.generic]]]:
        """Run one chunk of each stream.

        Args:
            windows: (batch, window_size, 80) features.
            state: three caches, as `fresh_state` or the last step gave them.

        Returns:
            (batch, outputs_per_chunk, vocabulary) log-probabilities, and the next state.
        """
        lengths = np.full(len(windows), self._window_frames, np.int64)
        values = [np.ascontiguousarray(windows.transpose(0, 2, 1)), lengths, *state]
        log_probs, _, *next_state = self._session.run(None, dict(zip(self._input_names, values, strict=True)))
        return log_probs, next_state

    def decode(self, samples: NDArray[np.float32], *, tail_s: float = TAIL_S) -> Decoding:
        """Decode a whole recording as one stream.

        Args:
            samples: (num_samples,) float32 in [-1, 1] at 16 kHz.
            tail_s: silence appended.

        A chunk runs only when one frame more than its window is ready: sherpa-onnx's rule, so that texts compare.
        """
        padded = np.concatenate([samples.astype(np.float32), np.zeros(int(SAMPLE_RATE_HZ * tail_s), np.float32)])
        features = log_mel(padded)
        state, rows = self.fresh_state(), []
        for start in range(0, len(features) - self._window_frames, self._shift_frames):
            window = features[None, start : start + self._window_frames]
            log_probs, state = self.step(window, state)
            rows.append(log_probs[0])
        stacked = np.concatenate(rows) if rows else np.zeros((0, len(self._tokens)), np.float32)
        return Decoding(self.words(stacked), stacked)

    def words(self, log_probs: NDArray[np.float32]) -> str:
        """Best path, repeats joined, blanks dropped."""
        best = log_probs.argmax(-1)
        return self.spell(
            [int(token) for token, last in zip(best, [self._blank, *best[:-1]], strict=False) if token != last]
        )

    def spell(self, tokens: list[int]) -> str:
        """Join pieces to words; blanks are skipped."""
        pieces = (self._tokens[token] for token in tokens if token != self._blank)
        return "".join(pieces).replace(_WORD_START, " ").strip()


def read_tokens(path: Path) -> list[str]:
    """Pieces by id from "piece id" lines."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line.rsplit(" ", 1)[0] for line in lines if line]
