"""What crosses the border of an engine: how a stream is opened, the events it gives, what a backend can do.

Positions are sample numbers on the session's audio clock (16 kHz, mono), never wall time. These must stay true:
  - The finals of one stream tile its audio: the first starts at `OpenStream.start_sample`, each next one where the
    last one ended. A final without words is a piece of silence that is done with.
  - A recogniser forgets everything at the end of a final. Audio replayed from there to any replica of the same model
    version gives the same events, whatever the chunking of the audio and whoever shares the batch.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    IndexArray = npt.NDArray[np.int64]

SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1_000
BYTES_PER_SAMPLE = 2


class EndReason(StrEnum):
    """Why an utterance ended where it did."""

    pause_after_speech = "pause_after_speech"
    silence_without_speech = "silence_without_speech"
    max_length = "max_length"
    finalize = "finalize"
    """The gateway asked for a cut at this sample."""
    finish = "finish"
    """The stream's audio ended here."""


class RefusalReason(StrEnum):
    """Why an engine, or the link to it, would not take a stream."""

    no_free_slot = "no_free_slot"
    draining = "draining"
    unknown_model = "unknown_model"
    unsupported_language = "unsupported_language"
    bad_options = "bad_options"
    unreachable = "unreachable"


class LossReason(StrEnum):
    """Why a granted stream will give no more events. All are resumable: its unfinalised audio may be replayed."""

    link_lost = "link_lost"
    """The connection to the engine broke."""
    silent = "silent"
    """The engine took audio and answered nothing for its liveness budget."""
    engine_failed = "engine_failed"
    """The engine said that it could not go on with this stream."""
    protocol_broken = "protocol_broken"
    """The engine sent something that it may not send: it counts as lost."""
    drained = "drained"
    """The engine is going away and hands the stream back."""


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one session wants to be recognised; the same for every replay of it."""

    model: str = ""
    """Name of a loaded model; empty means the engine's default."""
    language: str = ""
    """BCP 47, e.g. `en`; empty means the model's own."""
    wants_partials: bool = True
    min_trailing_silence_ms: int = 800
    max_utterance_ms: int = 30_000


class OpenStream(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a slot. `start_sample` is where the first utterance begins."""

    session_id: str
    tenant: str
    epoch: int
    start_sample: int
    options: StreamOptions


class Word(msgspec.Struct, frozen=True):
    """One recognised word; `confidence` is the geometric mean of its pieces' probabilities, in [0, 1]."""

    text: str
    start_sample: int
    end_sample: int
    confidence: float


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    """The slot is ours. At most `window_samples` of audio may be sent ahead of `Progress.audio_through_sample`."""

    epoch: int
    model: str
    model_version: str
    window_samples: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    epoch: int
    reason: RefusalReason
    retry_after_ms: int | None = None


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """The engine is alive and has consumed all audio before `audio_through_sample`; sent after each step.

    `compute_us`: compute spent on this stream since the last `Progress` (micro-compute-seconds).
    """

    epoch: int
    audio_through_sample: int
    compute_us: int


class SpeechStarted(msgspec.Struct, frozen=True, tag="speech_started"):
    epoch: int
    at_sample: int


class PartialResult(msgspec.Struct, frozen=True, tag="partial"):
    """The utterance so far. The first `stable_chars` characters of `text` will not change any more."""

    epoch: int
    start_sample: int
    end_sample: int
    text: str
    stable_chars: int


class FinalResult(msgspec.Struct, frozen=True, tag="final"):
    """The utterance [start_sample, end_sample) is done with; `words` is empty when nothing was said."""

    epoch: int
    start_sample: int
    end_sample: int
    text: str
    words: tuple[Word, ...]
    reason: EndReason


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The stream gives no more events; a link says this for an engine that cannot."""

    epoch: int
    reason: LossReason


StreamEvent = Granted | Refused | Progress | SpeechStarted | PartialResult | FinalResult | Lost


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of itself, once a second and whenever a slot changes hands."""

    pool: str
    replica: str = ""
    """The gateway's own name for the replica: its place among the configured addresses."""
    model: str
    model_version: str
    slots_total: int
    slots_used: int
    queued_audio_ms: int
    """Audio received and not yet recognised, all streams together."""
    step_p50_us: int
    busy_permille: int
    """Share of the last second that the inference thread was computing."""
    is_draining: bool


class ModelContract(msgspec.Struct, frozen=True, kw_only=True):
    """What a streaming CTC model file says of itself (NeMo cache-aware streaming, as exported for sherpa-onnx).

    One step reads `window_frames` feature frames, moves on by `shift_frames`, and gives
    `shift_frames / subsampling` rows of `vocab_size + 1` log-probabilities; the blank is `blank_id`.
    """

    name: str
    version: str
    """SHA-256 of the model file, first 16 hex digits: replay is exact only within one version."""
    language: str
    window_frames: int
    shift_frames: int
    subsampling: int
    feature_dim: int
    vocab_size: int
    blank_id: int
    cache_channel_shape: tuple[int, int, int]
    cache_time_shape: tuple[int, int, int]
    tokens: tuple[str, ...]


class Backend(Protocol):
    """Runs one model over state slots that it owns. Called from one thread only; never concurrently."""

    contract: ModelContract

    def reset(self, slot: int) -> None:
        """Forget all state of one slot."""

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """Advance `slots[i]` by the window `features[i]`.

        Args:
            features: (batch, window_frames, feature_dim) float32.
            slots: `batch` distinct slot numbers below `max_slots`.

        Returns:
            (batch, outputs per step, vocab_size + 1) float32 log-probabilities. A row does not depend on the others.

        Raises:
            BackendFailed: the runtime failed; every stream in the batch must be replayed elsewhere.
        """


class StepResult(msgspec.Struct, frozen=True):
    """What one step did for one slot. `is_over`: the last final is among `events`, the slot may be given away."""

    slot: int
    events: tuple[SpeechStarted | PartialResult | FinalResult, ...]
    audio_through_sample: int
    is_over: bool


class BatchRecogniser(Protocol):
    """Recognises up to `max_slots` streams at once over preallocated state. Called from one thread only.

    Audio goes in as 16 kHz mono 16-bit little-endian samples. Which steps a stream takes, and what they give, depends
    on its audio, its options and its cuts alone: not on how the audio was chunked, nor on who shares the batch.
    """

    model: str
    model_version: str
    language: str
    max_slots: int
    step_samples: int
    """New audio that one step consumes; the pace at which steps of a live stream fall due."""
    window_samples: int
    """How far audio may run ahead of `StepResult.audio_through_sample`."""

    def open(self, slot: int, stream: OpenStream) -> None:
        """Begin a stream in a free slot."""

    def accept(self, slot: int, pcm16: bytes) -> None:
        """Append audio. Whole samples only."""

    def cut(self, slot: int, at_sample: int, *, is_last: bool) -> None:
        """End an utterance exactly at `at_sample`, which is where the accepted audio ends; `is_last`: so does the
        stream. Gives one final that ends there, without words if nothing was said.
        """

    def close(self, slot: int) -> None:
        """Forget the stream; the slot is free. Closing a free slot does nothing."""

    def is_ready(self, slot: int) -> bool:
        """Whether a step could run for this slot now."""

    def step(self, slots: Sequence[int]) -> list[StepResult]:
        """Run one batched step for ready, distinct slots, one result each, in order.

        Raises:
            BackendFailed: nothing can be said about any of these streams any more.
        """
