"""What callers of the lab say: a shipped recording, or audio made for scripted engines.

A scripted engine's words name place and value. In synthetic audio every 100 ms has a value of its own, drawn by the
voice: audio that is lost, doubled or another caller's shows in the words of a scripted engine.
"""

from __future__ import annotations

import random
import wave
from array import array
from pathlib import Path

RECORDINGS = Path(__file__).parents[2] / "engines" / "models" / "recordings"
PIECE_MS = 100
SAMPLES_PER_MS = 16
BYTES_PER_MS = 2 * SAMPLES_PER_MS
_LOUDEST = 30_000


def speech(audio: str, *, voice: int, duration_ms: int) -> bytes:
    """PCM16, 16 kHz, mono; a recording is said again and again until it is long enough.

    Raises:
        OSError: no such recording.
    """
    num_bytes = duration_ms * BYTES_PER_MS
    if audio != "synthetic":
        recording = _recording(audio)
        return (recording * (num_bytes // len(recording) + 1))[:num_bytes]
    dice = random.Random(voice)
    pieces = (
        array("h", [dice.randint(1, _LOUDEST)]).tobytes() * (PIECE_MS * SAMPLES_PER_MS)
        for _ in range(-(-duration_ms // PIECE_MS))
    )
    return b"".join(pieces)[:num_bytes]


def _recording(name: str) -> bytes:
    with wave.open(str(RECORDINGS / name), "rb") as file:
        return file.readframes(file.getnframes())
