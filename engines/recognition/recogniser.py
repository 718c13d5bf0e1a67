"""Recognises many streams at once: one batched model step, then voice activity for those who must hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.backends.freed_memory import give_back_freed_memory
from engines.backends.load import load_backend
from engines.backends.onnx_transducer import open_transducer
from engines.contract import StepResult, TransducerContract
from engines.errors import ModelRejected, RowsFailed
from engines.interface import SAMPLE_RATE_HZ, FinalResult
from engines.model_kinds import ModelKind, kind_of
from engines.recognition.feature_check import feature_mistakes
from engines.recognition.features import SHIFT_SAMPLES, LogMel
from engines.recognition.option_checks import endpointing_mistakes
from engines.recognition.paths import CtcPaths
from engines.recognition.rehearsal import rehearse
from engines.recognition.rows import rows_by_stream
from engines.recognition.stream import Cut, StreamState
from engines.recognition.transducer_path import TransducerPaths
from engines.recognition.utterance import ModelShape
from engines.recognition.voice_activity import SileroVoiceActivity, find_silero_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engines.contract import (
        Backend,
        BackendSettings,
        Emissions,
        FloatArray,
        ModelContract,
        StepTime,
        TransducerBackend,
    )
    from engines.interface import OpenStream, StreamOptions
    from engines.recognition.paths import Paths
    from engines.recognition.rows import Rows
    from engines.recognition.stream import Heard
    from engines.recognition.words import Spelling

_NOBODY: frozenset[int] = frozenset()
WINDOW_MS = 5_000
"""How far audio may run ahead of recognition. With what an utterance may want again, a stream holds 10 s at most."""


def load_recogniser(path: Path | str, settings: BackendSettings, *, skips_silence: bool = True) -> Recogniser:
    """Check a model and set it up as the settings say, with voice activity from the installed silero-vad.

    Args:
        skips_silence: the model runs only from where something is heard in an utterance; see gate.py.

    Raises:
        ModelRejected: the model's files break the contract, silero-vad is not installed, or the features are not those
            of kaldi-native-fbank.
    """
    is_transducer = kind_of(path) is ModelKind.transducer
    backend = open_transducer(path, settings) if is_transducer else load_backend(path, settings)
    contract = backend.contract
    mistakes = feature_mistakes(LogMel(feature_dim=contract.feature_dim, front_end=contract.front_end))
    if mistakes:
        raise ModelRejected(str(path), mistakes)
    voice_activity = SileroVoiceActivity(
        find_silero_model(), max_slots=settings.max_slots, threads=max(1, settings.threads)
    )
    give_back_freed_memory()
    return Recogniser(backend, voice_activity, max_slots=settings.max_slots, skips_silence=skips_silence)


class Recogniser:
    """Implements `engines.interface.BatchRecogniser` over any backend for streaming models."""

    def __init__(
        self,
        backend: Backend | TransducerBackend,
        voice_activity: SileroVoiceActivity,
        *,
        max_slots: int,
        skips_silence: bool = True,
    ) -> None:
        contract = backend.contract
        self.model = contract.name
        self.model_version = backend.kind.version_of(contract.version)
        self.language = contract.language
        self.max_slots = max_slots
        self.step_samples = contract.shift_frames * SHIFT_SAMPLES
        self.window_samples = WINDOW_MS * SAMPLE_RATE_HZ // 1_000
        self.memory = backend.memory
        self._backend = backend
        self._voice_activity = voice_activity
        self._shape = ModelShape(contract, decoding=_decoding_of(contract), skips_silence=skips_silence)
        self._streams: list[StreamState | None] = [None] * max_slots
        self._features = np.zeros((max_slots, contract.window_frames, contract.feature_dim), np.float32)

    def rehearse(self, *, max_batch: int) -> tuple[StepTime, ...]:
        """See `BatchRecogniser.rehearse`."""
        return rehearse(self, max_batch=max_batch)

    def shut_down(self) -> None:
        """See `BatchRecogniser.shut_down`."""
        self._backend.close()

    def mistakes(self, options: StreamOptions) -> list[str]:
        """See `BatchRecogniser.mistakes`."""
        return [*endpointing_mistakes(options), *self._shape.paths.mistakes(options)]

    def open(self, slot: int, stream: OpenStream) -> None:
        """See `BatchRecogniser.open`."""
        self._streams[slot] = StreamState(stream, self._shape)
        self._forget(slot)

    def accept(self, slot: int, pcm16: bytes) -> None:
        """See `BatchRecogniser.accept`.

        Raises:
            LinkMisused: half a sample, or audio behind the end of the stream.
        """
        self._stream(slot).accept(pcm16)

    def cut(self, slot: int, at_sample: int, *, is_last: bool) -> None:
        """See `BatchRecogniser.cut`.

        Raises:
            LinkMisused: the cut is not where the accepted audio ends.
        """
        self._stream(slot).cut(Cut(at_sample, is_last))

    def close(self, slot: int) -> None:
        """See `BatchRecogniser.close`."""
        self._streams[slot] = None

    def is_ready(self, slot: int) -> bool:
        """See `BatchRecogniser.is_ready`."""
        stream = self._streams[slot]
        return stream is not None and stream.is_ready

    def step(self, slots: Sequence[int]) -> list[StepResult]:
        """See `BatchRecogniser.step`."""
        everybody = [(slot, self._stream(slot)) for slot in slots]
        rows, lost = self._run_model(everybody)
        streams = [(slot, stream) for slot, stream in everybody if slot not in lost] if lost else everybody
        speech = self._listen([(slot, stream.read(rows.get(slot))) for slot, stream in streams])
        results = []
        for slot, stream in everybody:
            if slot in lost:
                results.append(StepResult(slot, (), stream.audio_through_sample, is_over=True, is_lost=True))
                continue
            events = stream.take(speech.get(slot, []))
            if any(isinstance(event, FinalResult) for event in events):
                self._forget(slot)
            results.append(StepResult(slot, events, stream.audio_through_sample, stream.is_over))
        return results

    def _run_model(self, streams: list[tuple[int, StreamState]]) -> tuple[dict[int, Rows], frozenset[int]]:
        """Give the rows of each slot whose step reads audio, and the slots for which the model failed."""
        in_model: list[int] = []
        for slot, stream in streams:
            features = stream.next_features()
            if features is not None:
                self._features[len(in_model)] = features
                in_model.append(slot)
        if not in_model:
            return {}, _NOBODY
        lost = _NOBODY
        result: FloatArray | Emissions
        try:
            result = self._backend.step(self._features[: len(in_model)], in_model)
        except RowsFailed as failure:
            result, lost = failure.rows, frozenset(failure.slots)
        return dict(zip(in_model, rows_by_stream(result), strict=True)), lost

    def _listen(self, heard: list[tuple[int, Heard | None]]) -> dict[int, list[float]]:
        """Give the probabilities of speech of each slot that has something to hear."""
        slots, windows = [], []
        for slot, given in heard:
            if given is not None:
                slots.append(slot)
                windows.append(given.windows)
                if given.is_anew:
                    self._voice_activity.reset(slot)
        if not slots:
            return {}
        return dict(zip(slots, self._voice_activity.probabilities(windows, slots), strict=True))

    def _forget(self, slot: int) -> None:
        self._backend.reset(slot)
        self._voice_activity.reset(slot)

    def _stream(self, slot: int) -> StreamState:
        stream = self._streams[slot]
        if stream is None:
            raise LookupError(f"no stream is open in slot {slot}")
        return stream


def _decoding_of(contract: ModelContract | TransducerContract) -> Callable[[Spelling], Paths]:
    return TransducerPaths if isinstance(contract, TransducerContract) else CtcPaths
