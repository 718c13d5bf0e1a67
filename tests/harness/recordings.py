"""The shipped recordings, how they are cut and joined, and how far two texts are apart."""

from __future__ import annotations

import json
import random
import wave
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parents[2] / "engines" / "models" / "recordings"
RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2

Samples = npt.NDArray[np.int16]


@cache
def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((FOLDER / "transcripts.json").read_text(encoding="utf-8"))
    return rows


def transcripts() -> dict[str, str]:
    """What is said in each recording, by file name."""
    return {row["file"]: row["text"] for row in _rows()}


def exact_names() -> list[str]:
    """The recordings that the embedded model hears word for word."""
    return [row["file"] for row in _rows() if row["exact"]]


def path_of(name: str) -> Path:
    return FOLDER / name


@cache
def pcm_of(name: str) -> bytes:
    """16 kHz mono PCM16."""
    with wave.open(str(FOLDER / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, BYTES_PER_SAMPLE)
        frames: bytes = file.readframes(file.getnframes())
    return frames


def samples_of(name: str) -> Samples:
    """(num_samples,) int16 at 16 kHz."""
    return np.frombuffer(pcm_of(name), "<i2")


def silence(duration_ms: int) -> bytes:
    return bytes(duration_ms * RATE_HZ // 1_000 * BYTES_PER_SAMPLE)


def talk(seed: int, *, duration_ms: int) -> bytes:
    """At least so much speech: single sentences in an order that the seed gives, with pauses that end utterances."""
    dice = random.Random(seed)
    names = sorted(set(transcripts()) - {"dialogue_awb.wav"})
    parts: list[bytes] = []
    while sum(map(len, parts)) < duration_ms * RATE_HZ // 1_000 * BYTES_PER_SAMPLE:
        parts += [pcm_of(dice.choice(names)), silence(dice.randrange(200, 1_500))]
    return b"".join(parts)


def cut(data: bytes, num_bytes: int) -> list[bytes]:
    return [data[at : at + num_bytes] for at in range(0, len(data), num_bytes)]


def pieces_of(pcm16: bytes, *, piece_ms: int = 100) -> list[bytes]:
    """16 kHz PCM16 as a client sends it."""
    return cut(pcm16, piece_ms * RATE_HZ // 1_000 * BYTES_PER_SAMPLE)


def word_errors(said: list[str], heard: list[str]) -> int:
    """Substitutions, deletions and insertions that make one list of words the other."""
    row = list(range(len(heard) + 1))
    for i, wanted in enumerate(said, 1):
        previous, row[0] = row[0], i
        for j, got in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (wanted != got))
    return row[-1]
