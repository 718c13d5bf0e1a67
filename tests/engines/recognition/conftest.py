"""The embedded model's recogniser, its recordings, and a driver that feeds a stream in one go."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kaldi_native_fbank
import numpy as np
import pytest

from engines.contract import BackendSettings
from engines.interface import BYTES_PER_SAMPLE, OpenStream, StreamOptions
from engines.recognition.feature_check import fbank_options
from engines.recognition.recogniser import Recogniser, load_recogniser

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import FinalResult, PartialResult, SpeechStarted

    Event = SpeechStarted | PartialResult | FinalResult

MODELS = Path(__file__).parents[3] / "engines" / "models"
EPOCH = 3


@pytest.fixture(scope="session")
def recogniser() -> Recogniser:
    return load_recogniser(MODELS / "embedded", BackendSettings(max_slots=8, threads=1))


@pytest.fixture(scope="session")
def transcripts() -> dict[str, dict[str, Any]]:
    """What each recording says, by file name."""
    entries = json.loads((MODELS / "recordings" / "transcripts.json").read_text())
    return {entry["file"]: entry for entry in entries}


@pytest.fixture(scope="session")
def recording() -> Callable[[str], bytes]:
    """Give a recording's samples by file name."""

    def read(name: str) -> bytes:
        with wave.open(str(MODELS / "recordings" / name)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            return file.readframes(file.getnframes())

    return read


@pytest.fixture(scope="session")
def kaldi_options() -> kaldi_native_fbank.FbankOptions:
    return fbank_options(feature_dim=80)


@pytest.fixture(scope="session")
def silence() -> Callable[[int], bytes]:
    return lambda milliseconds: bytes(milliseconds * 16 * BYTES_PER_SAMPLE)


@pytest.fixture(scope="session")
def noise() -> Callable[[int], bytes]:
    """Give white noise at -30 dB."""

    def make(milliseconds: int) -> bytes:
        samples = 1_000 * np.random.default_rng(5).standard_normal(milliseconds * 16)
        return samples.astype("<i2").tobytes()

    return make


@pytest.fixture(scope="session")
def open_stream() -> Callable[..., OpenStream]:
    def make(*, start_sample: int = 0, **options: Any) -> OpenStream:
        return OpenStream(
            session_id="s", tenant="t", epoch=EPOCH, start_sample=start_sample, options=StreamOptions(**options)
        )

    return make


@pytest.fixture(scope="session")
def recognise(recogniser: Recogniser, open_stream: Callable[..., OpenStream]) -> Callable[..., list[Event]]:
    """Give all events of a stream that gets its audio at once, has the recogniser to itself and ends with its audio.

    `cuts` are positions on the session's clock at which the gateway asks for a cut on the way.
    """

    def run(pcm16: bytes, *, start_sample: int = 0, cuts: tuple[int, ...] = (), **options: Any) -> list[Event]:
        recogniser.open(0, open_stream(start_sample=start_sample, **options))
        at_sample = start_sample
        for cut in cuts:
            recogniser.accept(0, pcm16[(at_sample - start_sample) * 2 : (cut - start_sample) * 2])
            recogniser.cut(0, cut, is_last=False)
            at_sample = cut
        recogniser.accept(0, pcm16[(at_sample - start_sample) * 2 :])
        recogniser.cut(0, start_sample + len(pcm16) // 2, is_last=True)
        events: list[Event] = []
        while recogniser.is_ready(0):
            events += recogniser.step([0])[0].events
        recogniser.close(0)
        return events

    return run
