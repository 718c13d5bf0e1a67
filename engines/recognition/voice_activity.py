"""Is somebody speaking? Silero VAD from its package, batched over slots, and the hysteresis over what it says.

Silero reads 512 new samples (32 ms) behind the 64 before them and keeps an LSTM's state
(github.com/snakers4/silero-vad, utils_vad.py). A row's result does not depend on the other rows.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.errors import BackendFailed, ModelRejected
from engines.interface import SAMPLE_RATE_HZ
from engines.onnx_session import RUNTIME_ERRORS, open_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from engines.interface import FloatArray

WINDOW_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (2, 128)
_PACKAGE = "silero_vad"
_INPUTS = frozenset({"input", "state", "sr"})
_OUTPUTS = ["output", "stateN"]


def find_silero_model() -> Path:
    """Give the ONNX file of the installed silero-vad package, without importing it: its code wants torch.

    Raises:
        ModelRejected: the package, or the file in it, is not there.
    """
    package = importlib.util.find_spec(_PACKAGE)
    folders = list(package.submodule_search_locations or []) if package else []
    for folder in folders:
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise ModelRejected(_PACKAGE, ["voice activity needs silero_vad.onnx from the installed package silero-vad"])


class SileroVoiceActivity:
    """One state per slot, laid out once. Called from one thread only."""

    def __init__(self, path: Path, *, max_slots: int, threads: int = 1) -> None:
        try:
            self._session = open_session(path, threads=threads)
        except RUNTIME_ERRORS as error:
            raise ModelRejected(str(path), [f"ONNX Runtime cannot load it: {error}"]) from error
        # By name: releases of the model order them differently.
        names = {given.name for given in self._session.get_inputs()}
        if names != _INPUTS:
            wanted, given = ", ".join(sorted(_INPUTS)), ", ".join(sorted(names))
            raise ModelRejected(str(path), [f"its inputs must be {wanted}, not {given}"])
        self._sample_rate = np.array(SAMPLE_RATE_HZ, np.int64)
        layers, width = _STATE_SHAPE
        self._state = np.zeros((layers, max_slots, width), np.float32)
        self._context = np.zeros((max_slots, _CONTEXT_SAMPLES), np.float32)

    def reset(self, slot: int) -> None:
        """Forget what one slot has heard."""
        self._state[:, slot] = 0
        self._context[slot] = 0

    def probabilities(self, windows: Sequence[FloatArray], slots: Sequence[int]) -> list[list[float]]:
        """Read the next windows of some slots; their numbers may differ.

        Args:
            windows: for each slot (at least 1, 512) float32 in [-1, 1].

        Returns:
            For each slot the probability of speech in each of its windows.

        Raises:
            BackendFailed: the runtime failed.
        """
        # Slots with most windows first: those that still have one at `turn` are then the first `active` rows.
        order = sorted(range(len(slots)), key=lambda row: -len(windows[row]))
        counts = [len(windows[row]) for row in order]
        in_order = np.array([slots[row] for row in order], np.intp)
        audio = self._with_context([windows[row] for row in order], in_order)
        state = self._state[:, in_order]
        found: list[list[float]] = [[] for _ in slots]
        for turn in range(counts[0]):
            active = sum(count > turn for count in counts)
            speech, next_state = self._run(audio[turn, :active], np.ascontiguousarray(state[:, :active]))
            state[:, :active] = next_state
            for row, probability in zip(order, speech[:, 0].tolist(), strict=False):
                found[row].append(probability)
        self._state[:, in_order] = state
        return found

    def _with_context(self, windows: list[FloatArray], slots: npt.NDArray[np.intp]) -> FloatArray:
        """Give (most windows, slots, 576): each window behind the end of the one before it."""
        audio = np.zeros((len(windows[0]), len(windows), _CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)
        for row, own in enumerate(windows):
            audio[: len(own), row, _CONTEXT_SAMPLES:] = own
            audio[0, row, :_CONTEXT_SAMPLES] = self._context[slots[row]]
            audio[1 : len(own), row, :_CONTEXT_SAMPLES] = own[:-1, -_CONTEXT_SAMPLES:]
            self._context[slots[row]] = own[-1, -_CONTEXT_SAMPLES:]
        return audio

    def _run(self, audio: FloatArray, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        try:
            speech, next_state = self._session.run(_OUTPUTS, {"input": audio, "state": state, "sr": self._sample_rate})
        except RUNTIME_ERRORS as error:
            raise BackendFailed(f"voice activity failed in a step of {len(audio)} streams: {error}") from error
        return speech, next_state


class SpeechTracker:
    """Where in one utterance speech began and was last heard, in samples from the utterance's start.

    Speech begins with the first of three windows in a row at 0.5 or above, and goes on until one falls below 0.35: one
    loud click does not begin it, one doubtful window does not end it. Thresholds as in Silero's own VADIterator.
    """

    _BEGINS_AT = 0.5
    _ENDS_BELOW = 0.35
    _WINDOWS_TO_BEGIN = 3

    def __init__(self) -> None:
        self.onset_sample: int | None = None
        """Of the first speech; it does not move when speech pauses and goes on."""
        self.speech_end_sample = 0
        """Of the last speech so far; 0 while there was none."""
        self._windows_read = 0
        self._windows_in_a_row = 0
        self._is_speech = False

    @property
    def windows_read(self) -> int:
        return self._windows_read

    def read(self, probabilities: Iterable[float]) -> None:
        """Go on with the next windows."""
        for probability in probabilities:
            self._windows_read += 1
            end_sample = self._windows_read * WINDOW_SAMPLES
            if self._is_speech:
                self._is_speech = probability >= self._ENDS_BELOW
                self._windows_in_a_row = 0
            elif probability >= self._BEGINS_AT:
                self._windows_in_a_row += 1
                self._is_speech = self._windows_in_a_row == self._WINDOWS_TO_BEGIN
                if self._is_speech and self.onset_sample is None:
                    self.onset_sample = end_sample - self._WINDOWS_TO_BEGIN * WINDOW_SAMPLES
            else:
                self._windows_in_a_row = 0
            if self._is_speech:
                self.speech_end_sample = end_sample
