"""Proves of a loaded backend that a stream's numbers do not depend on its slot, nor on who shares its batch.

Isolation between sessions and exact replay both rest on it. On the CPU the numbers must agree bit for bit. Elsewhere
the libraries may choose another kernel for another size of batch, which adds in another order: what is allowed then is
stated here for each runtime, in natural logarithms of probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.backends.step_times import speech_like
from engines.contract import BackendKind
from engines.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.contract import Backend, FloatArray

_EXACT = (BackendKind.onnx, BackendKind.scripted)
_FP32_TOLERANCE, _REDUCED_TOLERANCE = 1e-3, 5e-2
_STREAMS, _STEPS = 5, 2
_BATCHES = (1, 2, 3, 5)


def batch_tolerance(backend: Backend) -> float:
    """Give how far a row in a batch may be from the row alone; 0 means bit for bit."""
    if backend.kind in _EXACT:
        return 0.0
    return _FP32_TOLERANCE if backend.contract.precision == "fp32" else _REDUCED_TOLERANCE


def invariance_mistakes(backend: Backend) -> list[str]:
    """Run made-up streams alone and in batches of several sizes, in other slots each time; all slots are reset then."""
    streams = min(_STREAMS, backend.max_slots)
    features = [speech_like(backend.contract, rows=streams, seed=step) for step in range(_STEPS)]
    tolerance = batch_tolerance(backend)
    worst = 0.0
    try:
        alone = _rows(backend, features, batch=1, slots=range(streams))
        for batch in _BATCHES:
            if batch <= backend.max_batch:
                slots = np.roll(np.arange(backend.max_slots)[::-1], batch)[:streams].tolist()
                found = _rows(backend, features, batch=batch, slots=slots)
                if found.shape != alone.shape:
                    return [f"its rows must come out as {alone.shape}, not {found.shape}"]
                worst = float(np.max([worst, np.abs(found - alone).max()]))  # NaN stays
    except BackendFailed as error:
        return [f"it cannot be run: {error}"]
    if worst <= tolerance:
        return []
    allowed = "not at all" if not tolerance else f"by {tolerance} at most"
    return [
        f"a stream's results must not depend on who shares its batch: log-probabilities differ by {worst:.2g}, and may "
        f"differ {allowed} on {backend.kind}"
    ]


def _rows(backend: Backend, features: Sequence[FloatArray], *, batch: int, slots: Sequence[int]) -> FloatArray:
    """Give (steps, streams, outputs per step, pieces) of streams that begin anew in `slots`."""
    for slot in slots:
        backend.reset(slot)
    steps = []
    for windows in features:
        parts = [
            backend.step(windows[first : first + batch], slots[first : first + batch])
            for first in range(0, len(slots), batch)
        ]
        steps.append(np.concatenate(parts))
    for slot in slots:
        backend.reset(slot)
    rows: FloatArray = np.stack(steps)
    return rows
