"""Our text is the text of sherpa-onnx, an independent runtime for the same model files."""

from __future__ import annotations

import random
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.contract import BackendSettings
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.recogniser import Recogniser, load_recogniser

if TYPE_CHECKING:
    from engines.contract import FloatArray

pytestmark = pytest.mark.interop

MODELS = Path(__file__).parents[2] / "engines" / "models"
RECORDINGS = sorted(path.name for path in (MODELS / "recordings").glob("*.wav"))
NEVER_MS = 1 << 40
TAIL = np.zeros(9_600, np.float32)


@pytest.fixture(scope="module")
def sherpa() -> Any:
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = MODELS / "embedded"
    return sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
        tokens=str(folder / "tokens.txt"), model=str(folder / "model.onnx"), num_threads=1
    )


@pytest.fixture(scope="module")
def ours() -> Recogniser:
    return load_recogniser(MODELS / "embedded", BackendSettings(max_slots=1, threads=1))


def pcm16_of(name: str) -> bytes:
    with wave.open(str(MODELS / "recordings" / name)) as file:
        return file.readframes(file.getnframes())


def their_text(sherpa: Any, pcm16: bytes) -> str:
    samples: FloatArray = np.frombuffer(pcm16, "<i2").astype(np.float32) / 32_768
    stream = sherpa.create_stream()
    stream.accept_waveform(16_000, np.concatenate([samples, TAIL]))
    stream.input_finished()
    while sherpa.is_ready(stream):
        sherpa.decode_stream(stream)
    result = sherpa.get_result(stream)
    return " ".join((result if isinstance(result, str) else result.text).split())


def our_text(recogniser: Recogniser, pcm16: bytes) -> str:
    """Give the text of the whole audio as one utterance."""
    options = StreamOptions(min_trailing_silence_ms=NEVER_MS, max_utterance_ms=NEVER_MS)
    recogniser.open(0, OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=options))
    recogniser.accept(0, pcm16)
    recogniser.cut(0, len(pcm16) // 2, is_last=True)
    finals = []
    while recogniser.is_ready(0):
        finals += [event for event in recogniser.step([0])[0].events if isinstance(event, FinalResult)]
    recogniser.close(0)
    (final,) = finals
    return final.text


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_text_of_a_recording_is_that_of_sherpa_onnx(sherpa: Any, ours: Recogniser, name: str) -> None:
    assert our_text(ours, pcm16_of(name)) == their_text(sherpa, pcm16_of(name))


@pytest.mark.parametrize("seed", range(10))
def test_the_text_of_a_recording_cut_anywhere_is_that_of_sherpa_onnx(sherpa: Any, ours: Recogniser, seed: int) -> None:
    dice = random.Random(seed)
    pcm16 = pcm16_of(dice.choice([name for name in RECORDINGS if not name.startswith("dialogue")]))
    start, end = sorted(dice.sample(range(len(pcm16) // 2), 2))
    assert our_text(ours, pcm16[2 * start : 2 * end]) == their_text(sherpa, pcm16[2 * start : 2 * end])
