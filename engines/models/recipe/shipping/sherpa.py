"""sherpa-onnx as the second opinion: an independent decoder of the same file must give the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.models.recipe.shipping.decoder import TAIL_S
from engines.models.recipe.speech.features import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_PIECE_SAMPLES = 1_600


class SherpaRecogniser:
    """One recogniser; a fresh stream for each recording."""

    def __init__(self, folder: Path, *, file_name: str = "model.onnx") -> None:
        """Load the file; sherpa-onnx is an extra of its own (interop), so it is imported only here."""
        import sherpa_onnx

        self._recogniser = sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
            tokens=str(folder / "tokens.txt"), model=str(folder / file_name), num_threads=1
        )

    def recognise(self, samples: NDArray[np.float32], *, piece_samples: int | None = None) -> str:
        """Recognise a recording, given whole or in pieces as a live client sends it."""
        padded = np.concatenate([samples, np.zeros(int(SAMPLE_RATE_HZ * TAIL_S), np.float32)])
        stream = self._recogniser.create_stream()
        step = piece_samples or len(padded)
        for start in range(0, len(padded), step):
            stream.accept_waveform(SAMPLE_RATE_HZ, padded[start : start + step])
            self._drain(stream)
        stream.input_finished()
        self._drain(stream)
        result = self._recogniser.get_result(stream)
        return (result if isinstance(result, str) else result.text).strip()

    def differing_ways(self, samples: NDArray[np.float32], text: str) -> list[str]:
        """In which ways of feeding it sherpa-onnx gives another text: "whole", "in pieces"."""
        heard = {
            "whole": self.recognise(samples),
            "in pieces": self.recognise(samples, piece_samples=_PIECE_SAMPLES),
        }
        return [way for way, words in heard.items() if words != text]

    def _drain(self, stream: object) -> None:
        while self._recogniser.is_ready(stream):
            self._recogniser.decode_stream(stream)
