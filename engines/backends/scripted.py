"""A made-up model that behaves as it is told: for tests, the lab and benchmarks of everything above a backend.

Its log-probabilities are a pure function of a stream's features and of the stream's own steps before: each row names
one piece, by how loud its frames are and how loud all earlier ones were. So a row that reached the wrong stream, a
state that was mixed up or a reset that was forgotten shows in the words. Nothing depends on the batch.
"""

from __future__ import annotations

import os
import signal
import time
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from engines.backends.step_times import batch_sizes
from engines.contract import BackendKind, MemoryFigures, ModelContract, StepTime
from engines.errors import BackendFailed, ModelRejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.contract import BackendSettings, FloatArray, IndexArray

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "stop", "go")
_TOKENS = (*(f"\u2581{word}" for word in _WORDS), "<blk>")
_BLANK = len(_WORDS)
_ROWS, _SUBSAMPLING = 4, 8
_QUIET_BELOW = -12.0
"""Mean log-mel energy of frames in which nobody speaks: they give blanks."""
_LEVELS_PER_NAT = 4
_LIKELY = 0.99
_STATE_MODULUS = 1_000_003


class Wrongness(StrEnum):
    """What a step gives that it must not give."""

    nan = "nan"
    shape = "shape"
    neighbour = "neighbour"
    """Each stream gets the rows of the next one in its batch; a stream alone is heard right."""


class BackendScript(BaseModel, frozen=True, extra="forbid"):
    """How the backend behaves. Steps are counted from the warm-up on; 0 means never."""

    step_delay_us: int = Field(default=0, ge=0, le=60_000_000)
    row_delay_us: int = Field(default=0, ge=0, le=1_000_000)
    """A step takes the first, and the second for each of its rows."""
    silent_after_steps: int = Field(default=0, ge=0)
    """Then every row is a blank."""
    wrong_after_steps: int = Field(default=0, ge=0)
    wrong: Wrongness = Wrongness.nan
    fail_after_steps: int = Field(default=0, ge=0)
    """Then one step raises BackendFailed, and the next ones work."""
    die_after_steps: int = Field(default=0, ge=0)
    """Then the process kills itself."""


CONTRACT = ModelContract(
    name="scripted",
    version="scripted-backend",
    language="en",
    window_frames=_ROWS * _SUBSAMPLING,
    shift_frames=_ROWS * _SUBSAMPLING,
    subsampling=_SUBSAMPLING,
    feature_dim=80,
    vocab_size=len(_WORDS),
    blank_id=_BLANK,
    cache_channel_shape=(1, 1, 1),
    cache_time_shape=(1, 1, 1),
    tokens=_TOKENS,
    state_bytes=8,
)


def open_backend(path: Path | str, settings: BackendSettings) -> ScriptedBackend:
    """Set up a backend that follows `settings.script`; `path` is not read.

    Raises:
        ModelRejected: the script is not one.
    """
    pairs = [pair.partition("=") for pair in settings.script.split(",") if pair]
    try:
        script = BackendScript.model_validate({key: value for key, _, value in pairs})
    except ValidationError as error:
        mistakes = [f"script: {'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()]
        raise ModelRejected(str(path), mistakes) from error
    return ScriptedBackend(script, settings)


class ScriptedBackend:
    """Implements `engines.contract.Backend`."""

    kind = BackendKind.scripted

    def __init__(self, script: BackendScript, settings: BackendSettings) -> None:
        self.contract = CONTRACT
        self.max_slots = settings.max_slots
        self.max_batch = settings.largest_batch
        self._script = script
        self._steps_taken = 0
        self._has_failed = False
        self._is_closed = False
        self._state: IndexArray = np.zeros(settings.max_slots, np.int64)
        self.memory = MemoryFigures(
            device="cpu",
            weights_bytes=0,
            state_bytes_per_slot=self._state.itemsize,
            state_bytes_total=self._state.nbytes,
        )

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`: the times are those of the script, and steps count anew."""
        self._steps_taken = 0
        self._state[:] = 0
        script = self._script
        return tuple(
            StepTime(batch, max(1, script.step_delay_us + batch * script.row_delay_us))
            for batch in batch_sizes(self.max_batch)
        )

    def close(self) -> None:
        """See `Backend.close`."""
        self._is_closed = True

    def reset(self, slot: int) -> None:
        """See `Backend.reset`."""
        self._state[slot] = 0

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """See `Backend.step`."""
        if self._is_closed:
            raise BackendFailed("the backend was closed")
        self._follow_script(len(slots))
        wanted = len(slots), self.contract.window_frames, self.contract.feature_dim
        if features.shape != wanted:
            raise BackendFailed(f"features must have the shape {wanted}, not {features.shape}")
        rows = self._rows(features, np.asarray(slots, np.int64))
        return self._spoiled(rows) if self._is_past(self._script.wrong_after_steps) else rows

    def _follow_script(self, batch: int) -> None:
        script = self._script
        delay_us = script.step_delay_us + batch * script.row_delay_us
        if delay_us:
            time.sleep(delay_us / 1_000_000)
        if self._is_past(script.die_after_steps):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._is_past(script.fail_after_steps) and not self._has_failed:
            self._has_failed = True
            raise BackendFailed("the script says so")
        self._steps_taken += 1

    def _is_past(self, steps: int) -> bool:
        return 0 < steps <= self._steps_taken

    def _rows(self, features: FloatArray, slots: IndexArray) -> FloatArray:
        frames = features.reshape(len(slots), _ROWS, -1)
        loudness = frames.mean(axis=2, dtype=np.float64)
        levels = np.rint(loudness * _LEVELS_PER_NAT).astype(np.int64)
        history = self._state[slots, None] + np.cumsum(levels, axis=1)
        self._state[slots] = history[:, -1] % _STATE_MODULUS
        pieces = np.where(loudness < _QUIET_BELOW, _BLANK, history % len(_WORDS))
        if self._is_past(self._script.silent_after_steps):
            pieces[:] = _BLANK
        rows = np.full((*pieces.shape, len(_TOKENS)), np.log((1 - _LIKELY) / (len(_TOKENS) - 1)), np.float32)
        np.put_along_axis(rows, pieces[..., None], np.float32(np.log(_LIKELY)), axis=2)
        return rows

    def _spoiled(self, rows: FloatArray) -> FloatArray:
        match self._script.wrong:
            case Wrongness.nan:
                rows[-1, -1, 0] = np.nan
                return rows
            case Wrongness.shape:
                return rows[:, 1:]
            case Wrongness.neighbour:
                return np.roll(rows, 1, axis=0)
