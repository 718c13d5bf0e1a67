"""How long a backend's steps take: what a warm-up measures, the same way for every runtime."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from engines.contract import StepTime

if TYPE_CHECKING:
    from engines.contract import Backend, FloatArray, ModelContract, TransducerBackend, TransducerContract

_ROUNDS = 5
_SPEECH_LIKE_MEAN, _SPEECH_LIKE_DEVIATION = -7.0, 3.0


def speech_like(contract: ModelContract | TransducerContract, *, rows: int, seed: int = 0) -> FloatArray:
    """Give made-up features, (rows, window_frames, feature_dim) float32, the same for the same seed."""
    shape = (rows, contract.window_frames, contract.feature_dim)
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    features: FloatArray = _SPEECH_LIKE_MEAN + _SPEECH_LIKE_DEVIATION * noise
    return features


def batch_sizes(max_batch: int) -> list[int]:
    """Give the powers of two below `max_batch`, then `max_batch`."""
    return [*(1 << power for power in range((max_batch - 1).bit_length())), max_batch]


def measure_step_times(backend: Backend | TransducerBackend) -> tuple[StepTime, ...]:
    """Time steps of growing batches, the first of each size untimed; all slots are reset afterwards.

    A larger batch is never said to be quicker than a smaller one: what a busy machine adds to one size is noise, and
    who plans batches by these times needs them to rise.

    Raises:
        BackendFailed: the runtime failed.
    """
    features = speech_like(backend.contract, rows=backend.max_batch)
    times: list[StepTime] = []
    longest_us = 1
    for batch in batch_sizes(backend.max_batch):
        longest_us = max(longest_us, _step_us(backend, features[:batch]))
        times.append(StepTime(batch, longest_us))
    for slot in range(backend.max_slots):
        backend.reset(slot)
    return tuple(times)


def _step_us(backend: Backend | TransducerBackend, features: FloatArray) -> int:
    slots = range(len(features))
    backend.step(features, slots)
    took_ns = []
    for _ in range(_ROUNDS):
        began_at_ns = time.perf_counter_ns()
        backend.step(features, slots)
        took_ns.append(time.perf_counter_ns() - began_at_ns)
    return round(median(took_ns) / 1_000)
