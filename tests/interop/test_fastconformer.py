"""A streaming FastConformer of real size loads, runs and gives the text of sherpa-onnx, with random weights."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.load import load_backend
from engines.contract import BackendSettings
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.recogniser import Recogniser
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model
from tests.models.fastconformer import FastConformer
from tests.models.signals import a_signal

if TYPE_CHECKING:
    from pathlib import Path

    from engines.contract import ModelContract
    from tests.models.signals import Samples

pytestmark = pytest.mark.interop

NEVER_MS = 1 << 40
TAIL = np.zeros(9_600, np.float32)
SMALL = FastConformer(layers=3, d_model=64, heads=4, feed_forward=128, channels=16, vocab_size=200)
SLOTS = 4


def their_text(sherpa: Any, samples: Samples) -> str:
    stream = sherpa.create_stream()
    stream.accept_waveform(16_000, np.concatenate([samples.astype(np.float32) / 32_768, TAIL]))
    stream.input_finished()
    while sherpa.is_ready(stream):
        sherpa.decode_stream(stream)
    return " ".join(sherpa.get_result(stream).split())


def our_texts(recogniser: Recogniser, signals: list[Samples]) -> list[str]:
    """Give the text of each signal as one utterance; they share their steps."""
    options = StreamOptions(
        min_trailing_silence_ms=NEVER_MS, max_silence_without_speech_ms=NEVER_MS, max_utterance_ms=NEVER_MS
    )
    for slot, samples in enumerate(signals):
        opening = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=options)
        recogniser.open(slot, opening)
        recogniser.accept(slot, samples.astype("<i2").tobytes())
        recogniser.cut(slot, len(samples), is_last=True)
    texts = [""] * len(signals)
    while ready := [slot for slot in range(len(signals)) if recogniser.is_ready(slot)]:
        for result in recogniser.step(ready):
            for event in result.events:
                if isinstance(event, FinalResult):
                    texts[result.slot] = event.text
    return texts


def compare(folder: Path, *, signals: int) -> tuple[list[str], ModelContract]:
    """Hold our texts against sherpa-onnx's; give them, and what the model says of itself."""
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    sherpa = sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
        tokens=str(folder / "tokens.txt"), model=str(folder / "model.onnx"), num_threads=1
    )
    backend = load_backend(folder, BackendSettings(max_slots=SLOTS, threads=1))
    voice_activity = SileroVoiceActivity(find_silero_model(), max_slots=SLOTS)
    recogniser = Recogniser(backend, voice_activity, max_slots=SLOTS, skips_silence=False)
    sounds = [a_signal(random.Random(seed), max_s=4) for seed in range(signals)]
    ours = [text for first in range(0, signals, SLOTS) for text in our_texts(recogniser, sounds[first : first + SLOTS])]
    assert ours == [their_text(sherpa, sound) for sound in sounds]
    recogniser.shut_down()
    return ours, backend.contract


@pytest.mark.parametrize("look_ahead", [0, 1, 6, 13])
def test_a_small_one_gives_the_text_of_sherpa_onnx_at_every_chunk_size(tmp_path: Path, look_ahead: int) -> None:
    model = FastConformer(**{**SMALL.__dict__, "look_ahead": look_ahead})
    texts, _ = compare(model.write(tmp_path), signals=8)
    assert len({word for text in texts for word in text.split()}) > 5


@pytest.mark.timeout(900)
def test_one_of_real_size_gives_the_text_of_sherpa_onnx(tmp_path: Path) -> None:
    texts, contract = compare(FastConformer().write(tmp_path), signals=SLOTS)
    assert (contract.cache_channel_shape, contract.cache_time_shape) == ((17, 70, 512), (17, 512, 8))
    assert (contract.window_frames, contract.shift_frames, contract.vocab_size) == (65, 56, 1_024)
    assert contract.weights_bytes > 400e6
    assert contract.state_bytes == 4 * 17 * (70 * 512 + 512 * 8) + 8
    assert any(texts)
