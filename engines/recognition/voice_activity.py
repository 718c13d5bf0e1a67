"""Is somebody speaking? Silero VAD from its package, batched over slots, and the hysteresis over what it says.

Silero reads 512 new samples (32 ms) behind the 64 before them and keeps an LSTM's state
(github.com/snakers4/silero-vad, utils_vad.py). A row's result depends neither on the other rows nor on how many windows
are read at once.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engines.errors import BackendFailed, ModelRejected
from engines.interface import SAMPLE_RATE_HZ
from engines.onnx_session import RUNTIME_ERRORS, open_session
from engines.recognition.silero_graph import (
    MAGNITUDES,
    POSITIONS,
    STATE_WIDTH,
    WeightsMissing,
    network_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import onnxruntime

    from engines.contract import FloatArray

WINDOW_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_READ_SAMPLES = _CONTEXT_SAMPLES + WINDOW_SAMPLES
_PIECE_SAMPLES = 256
_PIECE_SHIFT_SAMPLES = 128
_MIRRORED_SAMPLES = 64
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_PIECE_SAMPLES) / _PIECE_SAMPLES)
_PACKAGE = "silero_vad"
_INPUTS = frozenset({"input", "state", "sr"})
_OUTPUTS = ["output", "stateN"]
_NETWORK_OUTPUTS = ["speech", "next_h", "next_c"]
_MAX_DIFFERENCE = 1e-3


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


class _State(NamedTuple):
    """The LSTM's, (1, streams, 128) each."""

    h: FloatArray
    c: FloatArray


class SileroNetwork:
    """Silero's own network in another form: see `engines/recognition/silero_graph.py`."""

    def __init__(self, path: Path, *, threads: int) -> None:
        """Load the network and hold its numbers against those of the file.

        Raises:
            ModelRejected: the file is not Silero VAD, or not one whose layers are known.
        """
        try:
            original = open_session(path, threads=threads)
        except RUNTIME_ERRORS as error:
            raise ModelRejected(str(path), [f"ONNX Runtime cannot load it: {error}"]) from error
        # By name: releases of the model order them differently.
        names = {given.name for given in original.get_inputs()}
        if names != _INPUTS:
            wanted, given = ", ".join(sorted(_INPUTS)), ", ".join(sorted(names))
            raise ModelRejected(str(path), [f"its inputs must be {wanted}, not {given}"])
        try:
            self._session = open_session(network_of(path.read_bytes()), threads=threads)
        except WeightsMissing as error:
            raise ModelRejected(str(path), [str(error)]) from error
        if self._max_difference(original) > _MAX_DIFFERENCE:
            raise ModelRejected(str(path), ["its layers must be those of Silero VAD 6.2, whose weights it holds"])

    def run(self, audio: FloatArray, state: _State) -> tuple[FloatArray, _State]:
        """Read windows of some streams.

        Args:
            audio: (windows, streams, 576) float32 in [-1, 1], each window behind the end of the one before it.

        Returns:
            The probability of speech, (windows, streams), and the state behind the last window.

        Raises:
            one of RUNTIME_ERRORS: the runtime failed.
        """
        given = {"magnitudes": _magnitudes(audio), "h": state.h, "c": state.c}
        speech, *next_state = self._session.run(_NETWORK_OUTPUTS, given)
        return speech[:, 0, :, 0], _State(*next_state)

    def _max_difference(self, original: onnxruntime.InferenceSession) -> float:
        """Give the largest difference over some windows of made-up sound in two streams."""
        noise = np.random.default_rng(0).standard_normal((4, 2, _READ_SAMPLES), np.float32)
        audio = noise * np.array([[0.3], [0.01]], np.float32)
        sample_rate = np.array(SAMPLE_RATE_HZ, np.int64)
        state = np.zeros((2, 2, STATE_WIDTH), np.float32)
        said = []
        for window in audio:
            speech, state = original.run(_OUTPUTS, {"input": window, "state": state, "sr": sample_rate})
            said.append(speech[:, 0])
        silent = np.zeros((1, 2, STATE_WIDTH), np.float32)
        found, found_state = self.run(audio, _State(silent, silent))
        return float(max(np.abs(found - said).max(), np.abs(np.concatenate(found_state) - state).max()))


def _magnitudes(audio: FloatArray) -> FloatArray:
    """Give the magnitudes of the four overlapping pieces of each window, (windows, streams, 4 x 129)."""
    windows, streams, _ = audio.shape
    mirrored = np.empty((windows, streams, _READ_SAMPLES + _MIRRORED_SAMPLES))
    mirrored[..., :_READ_SAMPLES] = audio
    mirrored[..., _READ_SAMPLES:] = audio[..., -2 : -2 - _MIRRORED_SAMPLES : -1]
    pieces = np.lib.stride_tricks.sliding_window_view(mirrored, _PIECE_SAMPLES, axis=-1)[..., ::_PIECE_SHIFT_SAMPLES, :]
    squares = np.fft.rfft(pieces * _HANN).view(np.float64)
    np.multiply(squares, squares, out=squares)
    found = np.sqrt(squares[..., ::2] + squares[..., 1::2])
    return found.astype(np.float32).reshape(windows, streams, POSITIONS * MAGNITUDES)


class SileroVoiceActivity:
    """One state per slot, laid out once. Called from one thread only."""

    def __init__(self, path: Path, *, max_slots: int, threads: int = 1) -> None:
        """See `SileroNetwork`.

        Raises:
            ModelRejected: the file is not Silero VAD, or not one whose layers are known.
        """
        self._network = SileroNetwork(path, threads=threads)
        self._state = _State(*(np.zeros((1, max_slots, STATE_WIDTH), np.float32) for _ in _State._fields))
        self._context = np.zeros((max_slots, _CONTEXT_SAMPLES), np.float32)

    def reset(self, slot: int) -> None:
        """Forget what one slot has heard."""
        for part in self._state:
            part[:, slot] = 0
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
        # Slots with most windows first: those that still have one at a turn are then the first `active` rows.
        order = sorted(range(len(slots)), key=lambda row: -len(windows[row]))
        counts = [len(windows[row]) for row in order]
        in_order = np.array([slots[row] for row in order], np.intp)
        audio = self._with_context([windows[row] for row in order], in_order)
        found: list[list[float]] = [[] for _ in slots]
        turn = 0
        while turn < counts[0]:
            active = sum(count > turn for count in counts)
            end = counts[active - 1]
            speech = self._run(audio[turn:end, :active], in_order[:active])
            for row, probabilities in zip(order, speech.T.tolist(), strict=False):
                found[row] += probabilities
            turn = end
        return found

    def _with_context(self, windows: list[FloatArray], slots: npt.NDArray[np.intp]) -> FloatArray:
        """Give (most windows, slots, 576): each window behind the end of the one before it."""
        audio = np.zeros((len(windows[0]), len(windows), _READ_SAMPLES), np.float32)
        for row, own in enumerate(windows):
            audio[: len(own), row, _CONTEXT_SAMPLES:] = own
            audio[0, row, :_CONTEXT_SAMPLES] = self._context[slots[row]]
            audio[1 : len(own), row, :_CONTEXT_SAMPLES] = own[:-1, -_CONTEXT_SAMPLES:]
            self._context[slots[row]] = own[-1, -_CONTEXT_SAMPLES:]
        return audio

    def _run(self, audio: FloatArray, slots: npt.NDArray[np.intp]) -> FloatArray:
        state = _State(*(part[:, slots] for part in self._state))
        try:
            speech, next_state = self._network.run(audio, state)
        except RUNTIME_ERRORS as error:
            raise BackendFailed(f"voice activity failed in a step of {len(slots)} streams: {error}") from error
        for part, next_part in zip(self._state, next_state, strict=True):
            part[:, slots] = next_part
        return speech


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

    def skip_to(self, window: int) -> None:
        """Go on with a later window, having heard nothing before it."""
        self._windows_read = window
        self._windows_in_a_row = 0
        self._is_speech = False

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
