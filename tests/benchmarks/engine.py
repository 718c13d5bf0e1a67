"""CPU for an hour of audio: our recogniser beside sherpa-onnx's, same model file, same recording, one thread each.

Both get 100 ms at a time and run a batched step whenever streams are ready. Ours also runs Silero's voice activity
detection and endpointing; theirs does neither.
"""

from __future__ import annotations

import argparse
import sys
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.interface import SAMPLE_RATE_HZ, OpenStream, StreamOptions
from engines.recognition.recogniser import load_recogniser
from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine

if TYPE_CHECKING:
    from engines.interface import FloatArray
    from engines.recognition.recogniser import CtcRecogniser

_MODELS = Path(__file__).parents[2] / "engines" / "models"
_RECORDING = _MODELS / "recordings" / "dialogue_awb.wav"
_PIECE_SAMPLES = SAMPLE_RATE_HZ // 10
_BATCHES = (1, 8, 32)
_ROUNDS = 3
_SHORT_S = 2


def _samples(*, is_short: bool) -> FloatArray:
    with wave.open(str(_RECORDING)) as file:
        pcm16 = file.readframes(file.getnframes())
    samples: FloatArray = np.frombuffer(pcm16, "<i2").astype(np.float32) / np.float32(32_768)
    return samples[: _SHORT_S * SAMPLE_RATE_HZ] if is_short else samples


def _ours(recogniser: CtcRecogniser, samples: FloatArray, batch: int) -> float:
    """Process CPU seconds to recognise the recording in each of `batch` slots."""
    pcm16 = (samples * 32_768).astype("<i2").tobytes()
    slots = range(batch)
    began_at_s = time.process_time()
    for slot in slots:
        opened = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
        recogniser.open(slot, opened)
    for at in range(0, len(pcm16), 2 * _PIECE_SAMPLES):
        for slot in slots:
            recogniser.accept(slot, pcm16[at : at + 2 * _PIECE_SAMPLES])
        while ready := [slot for slot in slots if recogniser.is_ready(slot)]:
            recogniser.step(ready)
    for slot in slots:
        recogniser.cut(slot, len(samples), is_last=True)
    while ready := [slot for slot in slots if recogniser.is_ready(slot)]:
        recogniser.step(ready)
    for slot in slots:
        recogniser.close(slot)
    return time.process_time() - began_at_s


def _theirs(sherpa: Any, samples: FloatArray, batch: int) -> float:
    """The same for sherpa-onnx."""
    began_at_s = time.process_time()
    streams = [sherpa.create_stream() for _ in range(batch)]
    for at in range(0, len(samples), _PIECE_SAMPLES):
        for stream in streams:
            stream.accept_waveform(SAMPLE_RATE_HZ, samples[at : at + _PIECE_SAMPLES])
        while ready := [stream for stream in streams if sherpa.is_ready(stream)]:
            sherpa.decode_streams(ready)
    for stream in streams:
        stream.input_finished()
    while ready := [stream for stream in streams if sherpa.is_ready(stream)]:
        sherpa.decode_streams(ready)
    return time.process_time() - began_at_s


def _sherpa() -> Any:
    """None where it is not installed (extra `interop`)."""
    try:
        import sherpa_onnx
    except ImportError:
        return None
    folder = _MODELS / "embedded"
    return sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
        tokens=str(folder / "tokens.txt"), model=str(folder / "model.onnx"), num_threads=1
    )


def _measure(*, is_short: bool) -> str:
    samples = _samples(is_short=is_short)
    recogniser = load_recogniser(_MODELS / "embedded", max_slots=max(_BATCHES), threads=1)
    sherpa = _sherpa()
    rows = []
    for batch in _BATCHES:
        audio_s = batch * len(samples) / SAMPLE_RATE_HZ
        ours, theirs = [], []
        for _ in range(1 if is_short else _ROUNDS):
            ours.append(_ours(recogniser, samples, batch) / audio_s)
            if sherpa is not None:
                theirs.append(_theirs(sherpa, samples, batch) / audio_s)
        rows.append([f"{batch} at once", *_figures(ours, theirs)])
    header = ["", "ours, s an hour", "streams a core", "sherpa-onnx, s an hour", "streams a core", "sherpa-onnx / ours"]
    return f"{machine_line(machine())}\n\n{markdown_table(header, rows)}"


def _figures(ours: list[float], theirs: list[float]) -> list[str]:
    """From CPU seconds for each second of audio."""
    found = []
    for costs in (ours, theirs):
        if costs:
            found += [Spread.of([3_600 * cost for cost in costs]).shown(), f"{1 / Spread.of(costs).median:.0f}"]
        else:
            found += ["not installed", ""]
    ratios = [their / our for our, their in zip(ours, theirs, strict=False)]
    return [*found, Spread.of(ratios).shown(2) if ratios else ""]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine", description=__doc__)
    parser.add_argument("--short", action="store_true", help="two seconds of audio: that it runs, not how fast")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    text = _measure(is_short=arguments.short)
    print(text)
    if arguments.write_docs:
        write_section("engine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
