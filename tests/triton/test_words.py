"""All shipped recordings at once, recognised at a Triton server and here: the same words at the same times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.contract import BackendKind, BackendSettings
from engines.interface import FinalResult, OpenStream, StreamOptions
from engines.recognition.recogniser import Recogniser, load_recogniser
from tests.harness import recordings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.triton import Triton

pytestmark = [pytest.mark.triton, pytest.mark.alone]

NAMES = sorted(recordings.transcripts())


@pytest.fixture
def there(shared_triton: Triton) -> Iterator[Recogniser]:
    settings = BackendSettings(kind=BackendKind.triton, server=shared_triton.address, max_slots=len(NAMES))
    recogniser = load_recogniser("asr", settings)
    yield recogniser
    recogniser.shut_down()


def finals_of_all(recogniser: Recogniser) -> list[list[tuple[object, ...]]]:
    """Give for each recording its finals: the text, and each word with its place in the audio."""
    finals: list[list[tuple[object, ...]]] = [[] for _ in NAMES]
    unsent = [recordings.pieces_of(recordings.pcm_of(name)) for name in NAMES]
    for slot in range(len(NAMES)):
        options = StreamOptions()
        recogniser.open(slot, OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=options))
    live = set(range(len(NAMES)))
    while live:
        for slot in live:
            if unsent[slot]:
                recogniser.accept(slot, unsent[slot].pop(0))
                if not unsent[slot]:
                    recogniser.cut(slot, len(recordings.pcm_of(NAMES[slot])) // 2, is_last=True)
        ready = [slot for slot in sorted(live) if recogniser.is_ready(slot)]
        for result in recogniser.step(ready) if ready else ():
            for event in result.events:
                if isinstance(event, FinalResult):
                    words = ((word.text, word.start_sample, word.end_sample) for word in event.words)
                    finals[result.slot].append((event.text, *words))
            if result.is_over:
                recogniser.close(result.slot)
                live.remove(result.slot)
    return finals


def test_a_triton_server_hears_the_words_that_onnx_runtime_hears_here(there: Recogniser, embedded: Path) -> None:
    here = load_recogniser(embedded, BackendSettings(max_slots=len(NAMES)))
    found = finals_of_all(there)
    assert found == finals_of_all(here)
    assert sum(len(final) > 1 for finals in found for final in finals) >= len(NAMES)
