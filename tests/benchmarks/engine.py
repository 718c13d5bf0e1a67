"""CPU for an hour of audio: our recogniser beside sherpa-onnx's, same model file, same recordings, one core.

Each stream hears the shipped recordings one after the other, beginning with another one than its neighbour. Both
programs get 320 ms at a time and run a batched step whenever streams are ready. Ours also ends utterances; it is
measured with voice activity detection and without. Theirs does neither.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.backends.load import load_backend
from engines.contract import BackendSettings
from engines.interface import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, OpenStream, StreamOptions
from engines.model_files import find_model_file
from engines.recognition.features import FeatureWindows, LogMel, samples_needed
from engines.recognition.recogniser import Recogniser
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model
from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.contract import Backend, FloatArray

_MODELS = Path(__file__).parents[2] / "engines" / "models"
_PIECE_SAMPLES = SAMPLE_RATE_HZ * 32 // 100
_BATCHES = (1, 8, 32)


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    stream_s: int


SHORT = Plan(rounds=1, stream_s=2)
USUAL = Plan(rounds=5, stream_s=20)


class NoVoiceActivity:
    """In place of `SileroVoiceActivity`: nobody ever speaks, so only words hold off the end of an utterance."""

    def reset(self, slot: int) -> None:
        """Forget nothing."""

    def probabilities(self, windows: Sequence[FloatArray], slots: Sequence[int]) -> list[list[float]]:
        """See `SileroVoiceActivity.probabilities`."""
        return [[0.0] * len(own) for own in windows]


@dataclass(slots=True)
class Programs:
    backend: Backend
    voice_activity: SileroVoiceActivity
    with_voice_activity: Recogniser
    without: Recogniser
    sherpa: Any

    @classmethod
    def load(cls) -> Programs:
        slots = max(_BATCHES)
        backend = load_backend(_MODELS / "embedded", BackendSettings(max_slots=slots, threads=1))
        voice_activity = SileroVoiceActivity(find_silero_model(), max_slots=slots)
        deaf: Any = NoVoiceActivity()
        return cls(
            backend,
            voice_activity,
            Recogniser(backend, voice_activity, max_slots=slots),
            Recogniser(backend, deaf, max_slots=slots),
            _sherpa(),
        )


@dataclass(slots=True)
class Costs:
    """CPU seconds for a second of audio, one entry a round."""

    ours: list[float] = field(default_factory=list)
    without_voice_activity: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)


def _sherpa() -> Any:
    """None where it is not installed (extra `interop`)."""
    try:
        import sherpa_onnx
    except ImportError:
        return None
    return sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
        tokens=str(_MODELS / "embedded" / "tokens.txt"),
        model=str(find_model_file(_MODELS / "embedded")),
        num_threads=1,
    )


def _streams(count: int, stream_s: int) -> list[bytes]:
    recordings = []
    for path in sorted((_MODELS / "recordings").glob("*.wav")):
        with wave.open(str(path)) as file:
            recordings.append(file.readframes(file.getnframes()))
    size = stream_s * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
    streams = []
    for first in range(count):
        pcm16 = b""
        number = first
        while len(pcm16) < size:
            pcm16 += recordings[number % len(recordings)]
            number += 1
        streams.append(pcm16[:size])
    return streams


def _floats(pcm16: bytes) -> FloatArray:
    samples: FloatArray = np.frombuffer(pcm16, "<i2").astype(np.float32) / np.float32(32_768)
    return samples


def _ours(recogniser: Recogniser, streams: list[bytes]) -> float:
    """Process CPU seconds to recognise all streams side by side."""
    slots = range(len(streams))
    began_at_s = time.process_time()
    for slot in slots:
        opened = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
        recogniser.open(slot, opened)
    piece = _PIECE_SAMPLES * BYTES_PER_SAMPLE
    for at in range(0, len(streams[0]), piece):
        for slot in slots:
            recogniser.accept(slot, streams[slot][at : at + piece])
        while ready := [slot for slot in slots if recogniser.is_ready(slot)]:
            recogniser.step(ready)
    for slot in slots:
        recogniser.close(slot)
    return time.process_time() - began_at_s


def _theirs(sherpa: Any, streams: list[bytes]) -> float:
    """The same for sherpa-onnx; samples are made floats beforehand, and nobody asks for the text."""
    audio = [_floats(pcm16) for pcm16 in streams]
    began_at_s = time.process_time()
    opened = [sherpa.create_stream() for _ in audio]
    for at in range(0, len(audio[0]), _PIECE_SAMPLES):
        for stream, samples in zip(opened, audio, strict=True):
            stream.accept_waveform(SAMPLE_RATE_HZ, samples[at : at + _PIECE_SAMPLES])
        while ready := [stream for stream in opened if sherpa.is_ready(stream)]:
            sherpa.decode_streams(ready)
    return time.process_time() - began_at_s


def _measure(programs: Programs, plan: Plan) -> dict[int, Costs]:
    found = {}
    for batch in _BATCHES:
        streams = _streams(batch, plan.stream_s)
        audio_s = batch * plan.stream_s
        costs = found[batch] = Costs()
        for _ in range(plan.rounds):
            costs.ours.append(_ours(programs.with_voice_activity, streams) / audio_s)
            costs.without_voice_activity.append(_ours(programs.without, streams) / audio_s)
            if programs.sherpa is not None:
                costs.theirs.append(_theirs(programs.sherpa, streams) / audio_s)
    return found


def _timed(work: Callable[[], object], *, audio_s: float, rounds: int) -> Spread:
    """Seconds for an hour of audio."""
    work()
    costs = []
    for _ in range(rounds):
        began_at_s = time.process_time()
        work()
        costs.append(3_600 * (time.process_time() - began_at_s) / audio_s)
    return Spread.of(costs)


def _parts(programs: Programs, plan: Plan) -> dict[str, Spread]:
    """What each part costs by itself, in the largest batch; voice activity as if it heard everything."""
    contract = programs.backend.contract
    slots = range(max(_BATCHES))
    steps = 5
    needed = [0, *(samples_needed(contract.window_frames + step * contract.shift_frames) for step in range(steps))]
    audio = [_floats(pcm16) for pcm16 in _streams(len(slots), plan.stream_s)]
    log_mel = LogMel(feature_dim=contract.feature_dim)
    windows = np.zeros((steps, len(slots), contract.window_frames, contract.feature_dim), np.float32)

    def features() -> None:
        for slot in slots:
            cut = FeatureWindows(log_mel, window_frames=contract.window_frames, shift_frames=contract.shift_frames)
            for step in range(steps):
                windows[step, slot] = cut.next_window(audio[slot][needed[step] : needed[step + 1]])

    def model() -> None:
        for step in range(steps):
            programs.backend.step(windows[step], slots)

    heard = [samples[: 10 * 512].reshape(10, 512) for samples in audio]
    audio_s = len(slots) * steps * contract.shift_frames / 100
    heard_s = len(slots) * 10 * 512 / SAMPLE_RATE_HZ
    return {
        "features": _timed(features, audio_s=audio_s, rounds=plan.rounds),
        "model": _timed(model, audio_s=audio_s, rounds=plan.rounds),
        "voice activity, if it heard everything": _timed(
            lambda: programs.voice_activity.probabilities(heard, slots), audio_s=heard_s, rounds=plan.rounds
        ),
    }


def _hour(costs: list[float]) -> str:
    return Spread.of([3_600 * cost for cost in costs]).shown(2) if costs else "not installed"


def _ratio(theirs: list[float], ours: list[float]) -> str:
    ratios = [their / our for their, our in zip(theirs, ours, strict=False)]
    return Spread.of(ratios).shown(2) if ratios else ""


def _report(costs: dict[int, Costs], parts: dict[str, Spread]) -> str:
    rows = []
    for batch, found in costs.items():
        variants = {"": found.ours, ", no voice activity": found.without_voice_activity, ", sherpa-onnx": found.theirs}
        for suffix, own in variants.items():
            streams = f"{1 / Spread.of(own).median:.0f}" if own else ""
            rows.append([f"{batch} at once{suffix}", _hour(own), streams, _ratio(found.theirs, own)])
    table = markdown_table(["", "CPU s an hour of audio", "streams a core", "beside sherpa-onnx"], rows)
    part_rows = [[name, spread.shown(2)] for name, spread in parts.items()]
    part_table = markdown_table([f"part, {max(_BATCHES)} at once, by itself", "CPU s an hour of audio"], part_rows)
    return f"{machine_line(machine())}\n\n{table}\n\n{part_table}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine", description=__doc__)
    parser.add_argument("--short", action="store_true", help="two seconds a stream, once: that it runs, not how fast")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    arguments = parser.parse_args()
    plan = SHORT if arguments.short else USUAL
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    programs = Programs.load()
    text = _report(_measure(programs, plan), _parts(programs, plan))
    print(text)
    if arguments.write_docs:
        write_section("engine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
