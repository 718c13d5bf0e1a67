"""A folder of WAV files with a `transcripts.json` that says what each holds."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.models.recipe.speech.features import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

INDEX_NAME = "transcripts.json"


@dataclass(frozen=True, slots=True)
class LabelledWav:
    """One file: which set it belongs to, what is said, by whom."""

    path: Path
    set_name: str
    text: str
    voice: str

    def samples(self) -> NDArray[np.float32]:
        """(num_samples,) float32 in [-1, 1] at 16 kHz."""
        with wave.open(str(self.path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, SAMPLE_RATE_HZ):
                raise ValueError(f"{self.path} is not 16 kHz mono PCM16")
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return pcm.astype(np.float32) / 32_768


def read_folder(folder: Path) -> list[LabelledWav]:
    """Every file of the folder's index; a row without a set belongs to the set named after the folder."""
    rows = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    return [
        LabelledWav(folder / row["file"], row.get("set", folder.resolve().name), row["text"], row["voice"])
        for row in rows
    ]


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write 16 kHz mono PCM16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())


def write_index(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the index; each row has at least file, text and voice."""
    (folder / INDEX_NAME).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
