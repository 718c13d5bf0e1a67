"""What the inside of an engine is made of: the model's contract, backends that run it, recognisers over them. PURE.

A backend turns features into log-probabilities, a recogniser audio into events. Both keep the state of many streams in
slots that are laid out once, and are called from one thread.
"""

from __future__ import annotations

from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from engines.interface import FinalResult, PartialResult, SpeechStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from engines.interface import OpenStream, StreamOptions

    FloatArray = npt.NDArray[np.float32]
    IndexArray = npt.NDArray[np.int64]


class BackendKind(StrEnum):
    """Which runtime runs the model."""

    onnx = "onnx"
    """ONNX Runtime on the CPU."""
    onnx_cuda = "onnx-cuda"
    """ONNX Runtime's CUDA provider; state stays on the device."""
    onnx_tensorrt = "onnx-tensorrt"
    """ONNX Runtime's TensorRT provider."""
    tensorrt = "tensorrt"
    """TensorRT itself; the engine file is built beforehand or at load."""
    triton = "triton"
    """A Triton inference server, over KServe v2 gRPC."""
    scripted = "scripted"
    """A made-up model that behaves as it is told, for tests."""

    def version_of(self, weights: str) -> str:
        """Name what replays are exact within: the weights, and the kind of device that runs them.

        Devices round otherwise than CPUs, so a session that began on one does not go on at the other within an
        utterance.
        """
        return f"{weights}-{self.value}" if self in _ON_DEVICES else weights


_ON_DEVICES = frozenset({BackendKind.onnx_cuda, BackendKind.onnx_tensorrt, BackendKind.tensorrt})


class BackendSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to run one model.

    Attributes:
        max_slots: streams whose state is laid out.
        threads: of one model step on a CPU; 0 takes one for each core that this process may use.
        max_batch: rows of one step, at most `max_slots`; 0 means `max_slots`.
        device_index: which GPU.
        server: `host:port` of a Triton server; the model is one that it has.
        cache_folder: where engine files and timing caches of TensorRT are kept; empty means beside the model.
        script: how the scripted backend behaves, as `key=value,...`.
    """

    kind: BackendKind = BackendKind.onnx
    max_slots: int = 32
    threads: int = 1
    max_batch: int = 0
    device_index: int = 0
    server: str = ""
    cache_folder: str = ""
    script: str = ""

    @property
    def largest_batch(self) -> int:
        return min(self.max_batch or self.max_slots, self.max_slots)


class MemoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded backend holds, in bytes. `device` is where the state lies: `cpu`, `cuda:0`, a server's address."""

    device: str
    weights_bytes: int
    state_bytes_per_slot: int
    state_bytes_total: int


class StepTime(msgspec.Struct, frozen=True):
    """How long a step of `batch` rows took, median of several."""

    batch: int
    step_us: int


class FrontEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How features are made of audio: 25 ms every 10 ms, pre-emphasis 0.97, logarithms of mel energies, no dither.

    Attributes:
        window: `hann` (periodic) or `povey` (Kaldi's, a Hann window to the power of 0.85).
        mel: `slaney` with filters of equal area, or `htk` with filters of equal height.
        removes_offset: whether the mean of each frame's samples is taken off first.
    """

    window: Literal["hann", "povey"]
    mel: Literal["slaney", "htk"]
    lowest_hz: int
    highest_hz: int
    removes_offset: bool


NEMO_FRONT_END = FrontEnd(window="hann", mel="slaney", lowest_hz=0, highest_hz=8_000, removes_offset=False)
"""Of NeMo's streaming CTC models, as sherpa-onnx 2.0.1 computes it."""
KALDI_FRONT_END = FrontEnd(window="povey", mel="htk", lowest_hz=20, highest_hz=7_600, removes_offset=True)
"""Of icefall's models (sherpa-onnx/csrc/features.h: Kaldi's own, up to 400 Hz below the highest frequency)."""


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
    front_end: FrontEnd = NEMO_FRONT_END
    precision: str = "fp32"
    """Of the weights: `fp32`, `fp16`, or `int8 static`."""
    weights_bytes: int = 0
    state_bytes: int = 0
    """State of one stream, in the types that the model takes it in."""


class StateShape(msgspec.Struct, frozen=True):
    """One tensor that a model hands from step to step: what one stream holds of it, and where the batch goes.

    `shape` is without the batch, which is axis `batch_axis` of the model's tensor.
    """

    name: str
    shape: tuple[int, ...]
    batch_axis: int
    is_integer: bool = False

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * (8 if self.is_integer else 4)


class TransducerContract(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a streaming transducer say of themselves (icefall's exports for sherpa-onnx).

    One step reads `window_frames` feature frames, moves on by `shift_frames`, and gives `shift_frames / subsampling`
    rows, each with one piece or none. A joiner's row has `vocab_size + 1` values; 0 is the blank, and `unknown_id`,
    where there is one, counts as blank too. The decoder reads the last `context_size` pieces.
    """

    name: str
    version: str
    """SHA-256 of all model files, first 16 hex digits."""
    language: str
    kind: str
    """`zipformer2` or `lstm`."""
    window_frames: int
    shift_frames: int
    subsampling: int
    feature_dim: int
    vocab_size: int
    blank_id: int
    unknown_id: int | None
    context_size: int
    joiner_dim: int
    states: tuple[StateShape, ...]
    """Of the encoder, in the order of its inputs behind the features."""
    tokens: tuple[str, ...]
    front_end: FrontEnd = KALDI_FRONT_END
    precision: str = "fp32"
    """Of the encoder's weights, as in `ModelContract`."""
    weights_bytes: int = 0
    """Of all three networks."""

    @property
    def state_bytes(self) -> int:
        """Of one stream, the encoder's alone."""
        return sum(state.size_bytes for state in self.states)


class Emissions(NamedTuple):
    """What a step of a transducer gave: of each row the piece, 0 for none, and its log-probability, 0.0 for none."""

    tokens: IndexArray
    """(batch, rows) int64."""
    log_probabilities: FloatArray
    """(batch, rows) float32."""


class TransducerBackend(Protocol):
    """Runs a transducer with greedy search, at most one piece a row, over slots that it owns; see `Backend`.

    Besides the encoder's state a slot holds what its decoder read last.
    """

    contract: TransducerContract

    kind: BackendKind
    max_slots: int
    max_batch: int
    memory: MemoryFigures

    def warm_up(self) -> tuple[StepTime, ...]:
        """See `Backend.warm_up`."""

    def close(self) -> None:
        """See `Backend.close`."""

    def reset(self, slot: int) -> None:
        """See `Backend.reset`."""

    def step(self, features: FloatArray, slots: Sequence[int]) -> Emissions:
        """See `Backend.step`."""


class Backend(Protocol):
    """Runs one model over state slots that it owns. Called from one thread only; never concurrently."""

    contract: ModelContract

    kind: BackendKind
    max_slots: int
    max_batch: int
    memory: MemoryFigures

    def warm_up(self) -> tuple[StepTime, ...]:
        """Run steps of growing batches over made-up features, so that no live stream pays for a first step.

        No stream may be open; all slots are reset afterwards. Gives one entry for each batch size tried, smallest
        first, up to `max_batch`.

        Raises:
            BackendFailed: the runtime failed.
        """

    def close(self) -> None:
        """Give back memory, connections and devices. Nothing may be called afterwards; closing twice does nothing."""

    def reset(self, slot: int) -> None:
        """Forget all state of one slot."""

    def step(self, features: FloatArray, slots: Sequence[int]) -> FloatArray:
        """Advance `slots[i]` by the window `features[i]`.

        Args:
            features: (batch, window_frames, feature_dim) float32.
            slots: `batch` distinct slot numbers below `max_slots`; at most `max_batch` of them.

        Returns:
            (batch, outputs per step, vocab_size + 1) float32 log-probabilities. A row does not depend on the others.

        Raises:
            BackendFailed: the runtime failed; every stream in the batch must be replayed elsewhere.
            RowsFailed: it failed for some streams alone.
        """


class StepResult(msgspec.Struct, frozen=True):
    """What one step did for one slot. `is_over`: the last final is among `events`, the slot may be given away.

    `is_lost`: the step failed for this stream; it is over, its audio from the last final on must be replayed elsewhere.
    """

    slot: int
    events: tuple[SpeechStarted | PartialResult | FinalResult, ...]
    audio_through_sample: int
    is_over: bool
    is_lost: bool = False


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
    memory: MemoryFigures

    def rehearse(self, *, max_batch: int) -> tuple[StepTime, ...]:
        """Say what steps of growing batches cost when everybody speaks; no stream may be open, and none is afterwards.

        Raises:
            BackendFailed: a step failed.
        """

    def shut_down(self) -> None:
        """Give everything back; nothing may be called afterwards."""

    def mistakes(self, options: StreamOptions) -> list[str]:
        """Say in sentences what is wrong with a stream's options, or cannot be done with this model.

        A stream may be opened only with options without mistakes. Touches no state: any thread may ask.
        """

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
