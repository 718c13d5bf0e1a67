"""A FastConformer of real size beside sherpa-onnx on the same file: loading, memory, steps of growing batches.

    python -m tests.benchmarks.large_model [--short] [--rounds N]

The weights are random (tests/models/fastconformer.py); what a step costs does not depend on them. Each program runs in
a process of its own with one thread; they take turns, a few steps each. A step is the whole way of one chunk of every
stream from samples to text: features, model, decoding; ours also listens for voices, sherpa-onnx's own endpointing is
off. Times are CPU seconds of the process, so that others on the machine count little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.contract import BackendSettings
from engines.interface import OpenStream, StreamOptions
from engines.recognition.recogniser import load_recogniser
from engines.recognition.rehearsal import speech_like
from tests.benchmarks.measures import Spread, machine, peak_rss_kib, rss_kib
from tests.models.fastconformer import FastConformer

if TYPE_CHECKING:
    from collections.abc import Sequence

_BATCHES = (1, 2, 4, 8, 16)
_STEPS_A_TURN = 2
_ROUNDS = 5
_NEVER_MS = 1 << 40
_WARM_UP_STEPS = 2
_SHORT = FastConformer(layers=2, d_model=64, heads=4, feed_forward=128, channels=16, vocab_size=200)
_SAMPLE_RATE_HZ, _SAMPLES_A_FRAME = 16_000, 160
_PROGRAMS = ("ours", "sherpa-onnx")


class OurStreams:
    """As many streams as asked for, each given one chunk more for a step."""

    def __init__(self, folder: Path, slots: int) -> None:
        self._recogniser = load_recogniser(folder, BackendSettings(max_slots=slots, threads=1))
        self._slots: list[int] = []
        self._at_sample = 0

    def open(self, batch: int, first: np.ndarray) -> None:
        options = StreamOptions(
            min_trailing_silence_ms=_NEVER_MS, max_silence_without_speech_ms=_NEVER_MS, max_utterance_ms=_NEVER_MS
        )
        for slot in self._slots:
            self._recogniser.close(slot)
        self._slots = list(range(batch))
        for slot in self._slots:
            self._recogniser.open(
                slot, OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=options)
            )
        self.step(first)

    def step(self, samples: np.ndarray) -> None:
        pcm16 = (samples * 32_767).astype("<i2").tobytes()
        for slot in self._slots:
            self._recogniser.accept(slot, pcm16)
        while ready := [slot for slot in self._slots if self._recogniser.is_ready(slot)]:
            self._recogniser.step(ready)


class TheirStreams:
    """The same with sherpa-onnx's own recogniser."""

    def __init__(self, folder: Path) -> None:
        import sherpa_onnx  # of the extra `interop`, and in this process alone

        self._recogniser: Any = sherpa_onnx.OnlineRecognizer.from_nemo_ctc(
            tokens=str(folder / "tokens.txt"), model=str(folder / "model.onnx"), num_threads=1
        )
        self._streams: list[Any] = []

    def open(self, batch: int, first: np.ndarray) -> None:
        self._streams = [self._recogniser.create_stream() for _ in range(batch)]
        self.step(first)

    def step(self, samples: np.ndarray) -> None:
        for stream in self._streams:
            stream.accept_waveform(_SAMPLE_RATE_HZ, samples)
        while ready := [stream for stream in self._streams if self._recogniser.is_ready(stream)]:
            self._recogniser.decode_streams(ready)
        for stream in self._streams:
            self._recogniser.get_result(stream)


def work(program: str, folder: Path, model: FastConformer, slots: int) -> None:
    """Load, then take turns as standard input asks for them: a batch a line, answered by CPU seconds of each step."""
    began_cpu_s, began_s = time.process_time(), time.perf_counter()
    streams = OurStreams(folder, slots) if program == "ours" else TheirStreams(folder)
    loaded = {
        "load_s": time.perf_counter() - began_s,
        "load_cpu_s": time.process_time() - began_cpu_s,
        "rss_mib": rss_kib(os.getpid()) / 1_024,
        "peak_mib": peak_rss_kib(os.getpid()) / 1_024,
    }
    print(json.dumps(loaded), flush=True)
    chunk_samples = model.shift_frames * _SAMPLES_A_FRAME
    steps = _STEPS_A_TURN + _WARM_UP_STEPS
    # A frame more than the first window, which sherpa-onnx wants before it takes a step.
    first_samples = (model.window_frames + 3) * _SAMPLES_A_FRAME
    samples = speech_like(first_samples + steps * chunk_samples)
    for line in sys.stdin:
        streams.open(int(line), samples[:first_samples])
        taken_s = []
        for step in range(steps):
            chunk = samples[first_samples + step * chunk_samples :][:chunk_samples]
            before_s = time.process_time()
            streams.step(chunk)
            taken_s.append(time.process_time() - before_s)
        rss_mib = rss_kib(os.getpid()) / 1_024
        print(json.dumps({"steps_s": taken_s[_WARM_UP_STEPS:], "rss_mib": rss_mib}), flush=True)


class Worker:
    """A process of one program."""

    def __init__(self, program: str, folder: Path, *, is_short: bool) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.large_model", "--work", program, "--folder", str(folder)]
        self._process = subprocess.Popen(
            [*command, *(["--short"] if is_short else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.loaded = self._read()

    def turn(self, batch: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{batch}\n")
        self._process.stdin.flush()
        return self._read()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the program has ended")
        said: dict[str, Any] = json.loads(line)
        return said


def measure(folder: Path, *, batches: Sequence[int], rounds: int, is_short: bool) -> None:
    """Let both programs take turns, and print what came of it."""
    model = _SHORT if is_short else FastConformer()
    workers = {program: Worker(program, folder, is_short=is_short) for program in _PROGRAMS}
    taken_ms: dict[tuple[str, int], list[float]] = {}
    rss_mib: dict[str, float] = {}
    for _ in range(rounds):
        for batch in batches:
            for program, worker in workers.items():
                turn = worker.turn(batch)
                taken_ms.setdefault((program, batch), []).extend(1_000 * step_s for step_s in turn["steps_s"])
                rss_mib[program] = turn["rss_mib"]
    chunk_ms = model.shift_frames * 10
    print(f"\n{machine()}, chunks of {chunk_ms} ms, {rounds} rounds\n")
    print("| program | loading, s | of it CPU, s | memory when loaded, MiB | highest, MiB | at the end, MiB |")
    print("|---|---|---|---|---|---|")
    for program, worker in workers.items():
        loaded = worker.loaded
        figures = f"{loaded['load_s']:.1f} | {loaded['load_cpu_s']:.1f} | {loaded['rss_mib']:.0f}"
        print(f"| {program} | {figures} | {loaded['peak_mib']:.0f} | {rss_mib[program]:.0f} |")
        worker.stop()
    print("\n| batch | ours, CPU ms a step | sherpa-onnx, CPU ms a step | streams a core, ours | sherpa-onnx |")
    print("|---|---|---|---|---|")
    for batch in batches:
        spreads = [Spread.of(taken_ms[program, batch]) for program in _PROGRAMS]
        streams = [f"{chunk_ms * batch / spread.median:.1f}" for spread in spreads]
        print(f"| {batch} | {' | '.join(spread.shown() for spread in spreads)} | {' | '.join(streams)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small model of the same shape, to see that this runs")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--work", choices=_PROGRAMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    model = _SHORT if given.short else FastConformer()
    batches = _BATCHES[:2] if given.short else _BATCHES
    if given.work:
        work(given.work, given.folder, model, max(batches))
        return
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.perf_counter()
        model.write(Path(folder))
        size = (Path(folder) / "model.onnx").stat().st_size
        print(f"{size / 1e6:.0f} MB written in {time.perf_counter() - began_s:.1f} s")
        measure(Path(folder), batches=batches, rounds=1 if given.short else given.rounds, is_short=given.short)


if __name__ == "__main__":
    main()
