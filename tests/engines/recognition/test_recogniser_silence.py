"""The model waits in silence, and no word is lost by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engines.backends.load import load_backend
from engines.contract import BackendSettings
from engines.interface import FinalResult
from engines.recognition.recogniser import Recogniser
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.contract import Backend, FloatArray
    from engines.interface import OpenStream, PartialResult, SpeechStarted

    Event = SpeechStarted | PartialResult | FinalResult
    Recognise = Callable[..., list[Event]]
    Recording = Callable[[str], bytes]
    Milliseconds = Callable[[int], bytes]

EMBEDDED = Path(__file__).parents[3] / "engines" / "models" / "embedded"


def finals(events: list[Event]) -> list[FinalResult]:
    return [event for event in events if isinstance(event, FinalResult)]


def text_of(events: list[Event]) -> str:
    return " ".join(final.text for final in finals(events) if final.text)


def words_wrong(said: list[str], heard: list[str]) -> int:
    """Count words lost, doubled or changed."""
    distances = list(range(len(heard) + 1))
    for row, word in enumerate(said, start=1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(heard, start=1):
            best = min(distances[column] + 1, distances[column - 1] + 1, diagonal + (word != other))
            diagonal, distances[column] = distances[column], best
    return distances[-1]


@pytest.mark.parametrize("lead_ms", [330, 1_500, 5_200, 8_000])
@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_no_word_is_lost_behind_silence(
    recognise: Recognise,
    recording: Recording,
    transcripts: dict[str, dict[str, Any]],
    request: pytest.FixtureRequest,
    lead_ms: int,
    kind: str,
) -> None:
    lead: Milliseconds = request.getfixturevalue(kind)
    said = wrong = 0
    for name, entry in transcripts.items():
        if entry["exact"]:
            text = text_of(recognise(lead(lead_ms) + recording(name), wants_partials=False))
            wrong += words_wrong(entry["text"].split(), text.split())
            said += len(entry["text"].split())
    assert wrong <= said // 20


class CountingBackend:
    """Passes everything on, and counts the rows of the model's steps."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.rows = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        self.rows += len(slots)
        return self._backend.step(features, slots)


@pytest.mark.parametrize("skips_silence", [True, False])
def test_the_model_runs_only_from_where_something_is_heard(
    open_stream: Callable[..., OpenStream], recording: Recording, silence: Milliseconds, skips_silence: bool
) -> None:
    counting = CountingBackend(load_backend(EMBEDDED, BackendSettings(max_slots=1)))
    voice_activity = SileroVoiceActivity(find_silero_model(), max_slots=1)
    quiet = Recogniser(counting, voice_activity, max_slots=1, skips_silence=skips_silence)
    audio = silence(4_000) + recording("digits_slt.wav")
    quiet.open(0, open_stream())
    quiet.accept(0, audio)
    quiet.cut(0, len(audio) // 2, is_last=True)
    while quiet.is_ready(0):
        quiet.step([0])
    heard_ms = len(audio) // 32 - (4_000 if skips_silence else 0)
    assert abs(counting.rows * 320 - heard_ms) < 2_000
