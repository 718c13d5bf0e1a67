"""Whether an engine says what the model says: held against ONNX Runtime on the CPU, after every build.

Two things are compared, over the same features and from fresh state: the pieces that greedy decoding finds, which must
be equal for every stream, and the log-probabilities of all pieces that the reference gives at least e^-10, which may
differ by the tolerance. Below that a model's numbers are noise that no decoding looks at.

The tolerances: with the embedded model's products in fp16 (simulated on ONNX Runtime's CPU, eight recordings of eight
steps) the largest difference was 0.005; ten times that is taken for fp16, as larger models sum over more terms. fp32
differs only by the order of its sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from engines.backends.step_times import speech_like
from engines.backends.tensorrt.half_precision import Level
from engines.backends.tensorrt.report import AccuracyFigures
from engines.errors import BackendFailed, ModelRejected
from engines.onnx_session import RUNTIME_ERRORS, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.contract import FloatArray, ModelContract

TOLERANCES = {Level.full: 0.005, Level.half_weights: 0.05, Level.half: 0.05}
_LEAST_LOG_PROBABILITY = -10.0
_WORST = 1e6
_MADE_UP_STREAMS, _MADE_UP_STEPS = 4, 6


class Probe(NamedTuple):
    """What both are asked: (steps, streams, window_frames, feature_dim) float32, and what it is, in words."""

    windows: FloatArray
    what: str


class Steps(Protocol):
    def reset(self, slot: int) -> None: ...

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray: ...


def made_up_probe(contract: ModelContract) -> Probe:
    windows = [speech_like(contract, rows=_MADE_UP_STREAMS, seed=seed) for seed in range(_MADE_UP_STEPS)]
    return Probe(np.stack(windows), "made-up features")


def reference(model_file: Path, contract: ModelContract, probe: Probe) -> FloatArray:
    """Run the model on ONNX Runtime's CPU: (steps, streams, outputs, vocabulary) log-probabilities.

    Raises:
        ModelRejected: it cannot be run.
    """
    streams = probe.windows.shape[1]
    lengths = np.full(streams, contract.window_frames, np.int64)
    states = [
        np.zeros((streams, *contract.cache_channel_shape), np.float32),
        np.zeros((streams, *contract.cache_time_shape), np.float32),
        np.zeros(streams, np.int64),
    ]
    found: list[FloatArray] = []
    try:
        session = open_session(model_file, threads=1)
        names = [given.name for given in session.get_inputs()]
        for window in probe.windows:
            signal = np.ascontiguousarray(window.transpose(0, 2, 1))
            outputs = session.run(None, dict(zip(names, (signal, lengths, *states), strict=True)))
            found.append(outputs[0])
            states = outputs[2:]
    except RUNTIME_ERRORS as error:
        raise ModelRejected(str(model_file), [f"ONNX Runtime cannot run it: {error}"]) from error
    return np.stack(found)


def measured(
    steps: Steps, expected: FloatArray, probe: Probe, contract: ModelContract, *, level: Level, max_batch: int
) -> AccuracyFigures:
    """Run an engine over the probe and compare; streams are taken `max_batch` at a time, in slots from 0 on.

    An engine that fails in a step, or gives numbers that are none, differs by the largest figure there is.
    """
    try:
        found = _run(steps, probe, max_batch)
    except BackendFailed:
        found = np.full_like(expected, -np.inf)
    counts = expected >= _LEAST_LOG_PROBABILITY
    differences = np.abs(found[counts] - expected[counts])
    return AccuracyFigures(
        probe=probe.what,
        streams=expected.shape[1],
        steps=expected.shape[0],
        max_difference=float(np.nan_to_num(differences, nan=_WORST, posinf=_WORST).max(initial=0.0)),
        tolerance=TOLERANCES[level],
        are_pieces_equal=all(
            greedy_pieces(found[:, stream], contract.blank_id) == greedy_pieces(expected[:, stream], contract.blank_id)
            for stream in range(expected.shape[1])
        ),
    )


def greedy_pieces(log_probabilities: FloatArray, blank_id: int) -> list[int]:
    """Give one stream's pieces: the best of each row, repetitions and blanks left out.

    Args:
        log_probabilities: (steps, outputs, vocabulary) float32.
    """
    best = log_probabilities.reshape(-1, log_probabilities.shape[-1]).argmax(-1)
    begins = np.concatenate(([True], best[1:] != best[:-1]))
    return [int(piece) for piece in best[begins] if piece != blank_id]


def _run(steps: Steps, probe: Probe, max_batch: int) -> FloatArray:
    found: list[FloatArray] = []
    for first in range(0, probe.windows.shape[1], max_batch):
        windows = probe.windows[:, first : first + max_batch]
        slots = range(windows.shape[1])
        for slot in slots:
            steps.reset(slot)
        found.append(np.stack([steps.step(window, slots) for window in windows]))
    for slot in range(min(max_batch, probe.windows.shape[1])):
        steps.reset(slot)
    return np.concatenate(found, axis=1)
