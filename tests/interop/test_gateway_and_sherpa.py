"""The words of a whole region are those of sherpa-onnx's own recogniser for the same WAV and the same model files.

Text is compared, not times: sherpa-onnx's time stamps of streaming NeMo models are off by a factor. Where an utterance
ends is ours to decide, and our recogniser forgets everything there; so a recording of several utterances is given to
sherpa-onnx utterance by utterance, cut where the gateway's `ack` says that one ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.server.options import EMBEDDED_MODEL
from gateway.wire.messages import Ack, FinalMessage
from tests.harness.caller import start_of, transcribe
from tests.harness.recordings import cut, path_of, samples_of, transcripts

if TYPE_CHECKING:
    from tests.harness.caller import Caller
    from tests.harness.recordings import Samples
    from tests.harness.region import Region

pytestmark = pytest.mark.interop

NAMES = sorted(transcripts())
TAIL = np.zeros(9_600, np.float32)
"""sherpa-onnx wants silence behind the last word, to fill its last window."""
SAMPLES_PER_MS = 16


@pytest.fixture(scope="module")
def sherpa() -> Any:
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    return sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
        tokens=str(EMBEDDED_MODEL / "tokens.txt"), model=str(EMBEDDED_MODEL / "model.onnx"), num_threads=1
    )


@pytest.fixture(scope="module")
def ours(region: Region) -> dict[str, Caller]:
    """The WAV files as they are, through gateway and engine."""

    async def all_of_them() -> list[Caller]:
        return await asyncio.gather(
            *(transcribe(region, cut(path_of(name).read_bytes(), 3_200), start=start_of("wav")) for name in NAMES)
        )

    return dict(zip(NAMES, asyncio.run(all_of_them()), strict=True))


def their_words(sherpa: Any, samples: Samples) -> list[str]:
    stream = sherpa.create_stream()
    stream.accept_waveform(16_000, np.concatenate([samples.astype(np.float32) / 32_768, TAIL]))
    stream.input_finished()
    while sherpa.is_ready(stream):
        sherpa.decode_stream(stream)
    result = sherpa.get_result(stream)
    text: str = result if isinstance(result, str) else result.text
    return text.split()


def utterances_of(caller: Caller, samples: Samples) -> list[Samples]:
    """The audio of each final, to the millisecond: a final is followed by the `ack` of where its utterance ended."""
    ends_ms: list[int] = []
    has_words = False
    for heard in caller.heard:
        if isinstance(heard.message, FinalMessage):
            has_words = True
        elif isinstance(heard.message, Ack) and has_words:
            ends_ms.append(heard.message.audio_ms)
            has_words = False
    starts_ms = [0, *ends_ms[:-1]]
    return [
        samples[start_ms * SAMPLES_PER_MS : end_ms * SAMPLES_PER_MS]
        for start_ms, end_ms in zip(starts_ms, ends_ms, strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_a_region_are_those_of_sherpa_onnx(sherpa: Any, ours: dict[str, Caller], name: str) -> None:
    caller = ours[name]
    assert caller.is_finished
    utterances = utterances_of(caller, samples_of(name))
    assert len(utterances) == len(caller.finals)
    theirs = [their_words(sherpa, utterance) for utterance in utterances]
    assert [final.text.split() for final in caller.finals] == theirs


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dialogue_awb.wav"])
def test_a_recording_of_one_utterance_needs_no_cutting(sherpa: Any, ours: dict[str, Caller], name: str) -> None:
    assert ours[name].words == their_words(sherpa, samples_of(name))
