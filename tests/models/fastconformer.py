"""NeMo's streaming FastConformer CTC at its real size, with random weights: 109 million of them, 437 MB.

Sizes are those of stt_en_fastconformer_hybrid_large_streaming: 17 layers of width 512 with 8 heads, feed-forward 2,048,
causal depthwise convolutions over 9 frames, striding subsampling by 8 with 256 channels, 70 frames of left context,
1,024 pieces. Inputs, outputs and metadata are those of NeMo's export for sherpa-onnx
(scripts/nemo/fast-conformer-hybrid-transducer-ctc/export-onnx-ctc.py); the first two frames behind the subsampling are
dropped in every step, as NeMo's `drop_extra_pre_encoded` has it. The weights say nothing: speed and size are real,
words are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.models.graph import FLOAT, INT64, Graph

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = 80
SUBSAMPLING = 8
_EXTRA_FRAMES, _DROPPED_ROWS = 9, 2
_STAGES = 3
_FEATURE_MEAN, _FEATURE_SCALE = 7.0, 0.3
_MASKED = -10_000.0


@dataclass(frozen=True)
class FastConformer:
    """`look_ahead` rows of 80 ms: 0, 6 and 13 are those that NVIDIA's models are exported with for sherpa-onnx."""

    layers: int = 17
    d_model: int = 512
    heads: int = 8
    feed_forward: int = 2_048
    channels: int = 256
    kernel: int = 9
    left_context: int = 70
    look_ahead: int = 6
    vocab_size: int = 1_024
    blank_bias: float = 4.0
    seed: int = 1

    @property
    def rows(self) -> int:
        return self.look_ahead + 1

    @property
    def shift_frames(self) -> int:
        return SUBSAMPLING * self.rows

    @property
    def window_frames(self) -> int:
        return self.shift_frames + _EXTRA_FRAMES

    def write(self, folder: Path) -> Path:
        """Write model.onnx and tokens.txt; give the folder."""
        graph = Graph(seed=self.seed)
        channel_shape = ("B", self.layers, self.left_context, self.d_model)
        time_shape = ("B", self.layers, self.d_model, self.kernel - 1)
        signal = graph.input("audio_signal", FLOAT, ("B", FEATURES, "T"))
        length = graph.input("length", INT64, ("B",))
        channel = graph.input("cache_last_channel", FLOAT, channel_shape)
        time = graph.input("cache_last_time", FLOAT, time_shape)
        heard = graph.input("cache_last_channel_len", INT64, ("B",))
        frames = self._subsample(graph, signal)
        mask = self._mask(graph, heard)
        next_channel, next_time = [], []
        for layer in range(self.layers):
            caches = (_layer_of(graph, channel, layer), _layer_of(graph, time, layer))
            frames, layer_channel, layer_time = self._layer(graph, frames, caches, mask)
            next_channel.append(graph.op("Unsqueeze", layer_channel, graph.ints(1)))
            next_time.append(graph.op("Unsqueeze", layer_time, graph.ints(1)))
        graph.output("logprobs", self._log_probabilities(graph, frames), FLOAT, ("B", "U", self.vocab_size + 1))
        graph.output("encoded_lengths", self._encoded_length(graph, length), INT64, ("B",))
        graph.output("cache_last_channel_next", graph.op("Concat", *next_channel, axis=1), FLOAT, channel_shape)
        graph.output("cache_last_time_next", graph.op("Concat", *next_time, axis=1), FLOAT, time_shape)
        further = graph.op("Min", graph.op("Add", heard, graph.ints(self.rows)), graph.ints(self.left_context))
        graph.output("cache_last_channel_next_len", further, INT64, ("B",))
        graph.write(folder / "model.onnx", self.metadata())
        (folder / "tokens.txt").write_text(self.tokens(), encoding="utf-8")
        return folder

    def metadata(self) -> dict[str, object]:
        return {
            "vocab_size": self.vocab_size,
            "window_size": self.window_frames,
            "chunk_shift": self.shift_frames,
            "normalize_type": "",
            "cache_last_channel_dim1": self.layers,
            "cache_last_channel_dim2": self.left_context,
            "cache_last_channel_dim3": self.d_model,
            "cache_last_time_dim1": self.layers,
            "cache_last_time_dim2": self.d_model,
            "cache_last_time_dim3": self.kernel - 1,
            "subsampling_factor": SUBSAMPLING,
            "model_type": "EncDecHybridRNNTCTCBPEModel",
            "version": "1",
            "model_author": "NeMo",
            "comment": "Only the CTC branch is exported",
        }

    def tokens(self) -> str:
        """Two in three pieces begin a word; the blank is last."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        lines = []
        for number in range(self.vocab_size):
            spelled = letters[number % 26] + letters[number // 26 % 26] + letters[number // 676]
            lines.append(f"{spelled if number % 3 == 0 else chr(0x2581) + spelled} {number}\n")
        return "".join([*lines, f"<blk> {self.vocab_size}\n"])

    def _linear(self, graph: Graph, value: str, inputs: int, outputs: int, *, gain: float = 1.0) -> str:
        product = graph.linear(value, inputs, outputs, gain=gain)
        return graph.op("Add", product, graph.weights(outputs, fan_in=100))

    def _subsample(self, graph: Graph, signal: str) -> str:
        """Give (B, rows, d_model): three causal convolutions of stride 2, the first rows dropped."""
        picture = graph.op("Unsqueeze", graph.op("Transpose", signal, perm=[0, 2, 1]), graph.ints(1))
        picture = graph.op("Add", picture, graph.constant(np.array(_FEATURE_MEAN, np.float32)))
        picture = graph.op("Mul", picture, graph.constant(np.array(_FEATURE_SCALE, np.float32)))
        # Padded by two in front and one behind, in time and in frequency.
        where = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [2, 2, 1, 1]}
        kernel = graph.weights(self.channels, 1, 3, 3, fan_in=9, gain=1.4)
        heard = graph.op("Relu", graph.op("Conv", picture, kernel, graph.weights(self.channels, fan_in=100), **where))
        bands = FEATURES // 2 + 1
        for _ in range(_STAGES - 1):
            # Without a mean, so that what is the same in all frames does not drown what differs.
            depthwise = graph.weights(self.channels, 1, 3, 3, fan_in=9, gain=2.0, is_balanced=True)
            heard = graph.op("Conv", heard, depthwise, group=self.channels, **where)
            pointwise = graph.weights(self.channels, self.channels, 1, 1, fan_in=self.channels, gain=1.4)
            heard = graph.op("Relu", graph.op("Conv", heard, pointwise, kernel_shape=[1, 1]))
            bands = bands // 2 + 1
        flat = graph.op("Transpose", heard, perm=[0, 2, 1, 3])
        flat = graph.op("Reshape", flat, graph.ints(0, 0, self.channels * bands))
        frames = self._linear(graph, flat, self.channels * bands, self.d_model)
        return graph.slice(frames, _DROPPED_ROWS, _DROPPED_ROWS + self.rows, axis=1)

    def _mask(self, graph: Graph, heard: str) -> str:
        """Give (B, 1, 1, left + rows): far below 0 for the part of the cache that holds nothing yet."""
        ages = graph.constant(np.arange(self.left_context, 0, -1, dtype=np.int64)[None])
        is_empty = graph.op("Less", graph.op("Unsqueeze", heard, graph.ints(1)), ages)
        scale = graph.constant(np.array(_MASKED, np.float32))
        penalty = graph.op("Mul", graph.op("Cast", is_empty, to=FLOAT), scale)
        return graph.op("Unsqueeze", graph.op("Pad", penalty, graph.ints(0, 0, 0, self.rows)), graph.ints(1, 2))

    def _layer(self, graph: Graph, frames: str, caches: tuple[str, str], mask: str) -> tuple[str, str, str]:
        """Give the layer's frames, (B, rows, d_model), and its next caches."""
        channel, time = caches
        frames = graph.add(frames, self._feed_forward(graph, frames))
        attended, next_channel = self._attention(graph, graph.norm(frames, self.d_model), channel, mask)
        frames = graph.add(frames, attended)
        convolved, next_time = self._convolution(graph, graph.norm(frames, self.d_model), time)
        frames = graph.add(frames, convolved)
        frames = graph.add(frames, self._feed_forward(graph, frames))
        return graph.norm(frames, self.d_model), next_channel, next_time

    def _feed_forward(self, graph: Graph, frames: str) -> str:
        hidden = self._linear(graph, graph.norm(frames, self.d_model), self.d_model, self.feed_forward, gain=1.5)
        swished = _swish(graph, hidden)
        halved = self._linear(graph, swished, self.feed_forward, self.d_model)
        return graph.op("Mul", halved, graph.constant(np.array(0.5, np.float32)))

    def _attention(self, graph: Graph, frames: str, cache: str, mask: str) -> tuple[str, str]:
        """Attend with relative positions to the cache and the step itself; the cache holds what keys are made of."""
        size, head_size = self.d_model, self.d_model // self.heads
        seen = self.left_context + self.rows
        together = graph.op("Concat", cache, frames, axis=1)
        next_cache = graph.slice(together, self.rows, seen, axis=1)
        queries = graph.op("Reshape", self._linear(graph, frames, size, size), graph.ints(0, 0, self.heads, head_size))
        keys = self._by_head(graph, self._linear(graph, together, size, size), [0, 2, 3, 1])
        values = self._by_head(graph, self._linear(graph, together, size, size), [0, 2, 1, 3])
        positions = graph.linear(graph.constant(self._positions(seen)), size, size)
        positions = self._by_head(graph, positions, [0, 2, 3, 1])
        biased = [
            graph.op(
                "Transpose",
                graph.op("Add", queries, graph.weights(self.heads, head_size, fan_in=100)),
                perm=[0, 2, 1, 3],
            )
            for _ in range(2)
        ]
        content = graph.op("MatMul", biased[0], keys)
        distance = self._shifted(graph, graph.op("MatMul", biased[1], positions), seen)
        scale = graph.constant(np.array(1 / math.sqrt(head_size), np.float32))
        scores = graph.op("Mul", graph.op("Add", content, distance), scale)
        weights = graph.op("Softmax", graph.op("Add", scores, mask), axis=-1)
        said = graph.op("Transpose", graph.op("MatMul", weights, values), perm=[0, 2, 1, 3])
        return self._linear(graph, graph.op("Reshape", said, graph.ints(0, 0, size)), size, size), next_cache

    def _by_head(self, graph: Graph, frames: str, perm: list[int]) -> str:
        parted = graph.op("Reshape", frames, graph.ints(0, 0, self.heads, self.d_model // self.heads))
        return graph.op("Transpose", parted, perm=perm)

    def _positions(self, seen: int) -> np.ndarray:
        """Sines and cosines of the distances from `seen` - 1 down to -(`seen` - 1)."""
        distances = np.arange(seen - 1, -seen, -1)[:, None]
        rates = np.exp(np.arange(0, self.d_model, 2) * -(math.log(10_000) / self.d_model))
        encoded = np.zeros((1, 2 * seen - 1, self.d_model), np.float32)
        encoded[0, :, 0::2], encoded[0, :, 1::2] = np.sin(distances * rates), np.cos(distances * rates)
        return encoded

    def _shifted(self, graph: Graph, scores: str, seen: int) -> str:
        """Turn columns that stand for distances into columns that stand for keys, as Transformer-XL does."""
        padded = graph.op("Pad", scores, graph.ints(0, 0, 0, 1, 0, 0, 0, 0))
        turned = graph.op("Reshape", padded, graph.ints(0, 0, 2 * seen, self.rows))
        kept = graph.slice(turned, 1, 2 * seen, axis=2)
        shifted = graph.op("Reshape", kept, graph.ints(0, 0, self.rows, 2 * seen - 1))
        return graph.slice(shifted, 0, seen, axis=3)

    def _convolution(self, graph: Graph, frames: str, cache: str) -> tuple[str, str]:
        """Gate, convolve over the last frames, normalise, swish; all but the gate as NeMo's `layer_norm` variant."""
        size = self.d_model
        gated = self._linear(graph, frames, size, 2 * size)
        open_by = graph.op("Sigmoid", graph.slice(gated, size, 2 * size, axis=2))
        heard = graph.op("Mul", graph.slice(gated, 0, size, axis=2), open_by)
        together = graph.op("Concat", cache, graph.op("Transpose", heard, perm=[0, 2, 1]), axis=2)
        next_cache = graph.slice(together, self.rows, self.rows + self.kernel - 1, axis=2)
        kernel = graph.weights(size, 1, self.kernel, fan_in=self.kernel, gain=1.5)
        mixed = graph.op("Conv", together, kernel, group=size, kernel_shape=[self.kernel])
        mixed = graph.norm(graph.op("Transpose", mixed, perm=[0, 2, 1]), size)
        return self._linear(graph, _swish(graph, mixed), size, size), next_cache

    def _log_probabilities(self, graph: Graph, frames: str) -> str:
        bias = np.zeros(self.vocab_size + 1, np.float32)
        bias[-1] = self.blank_bias
        logits = graph.linear(frames, self.d_model, self.vocab_size + 1, gain=1.5)
        return graph.op("LogSoftmax", graph.op("Add", logits, graph.constant(bias)), axis=-1)

    def _encoded_length(self, graph: Graph, length: str) -> str:
        for _ in range(_STAGES):
            length = graph.op("Add", graph.op("Div", length, graph.ints(2)), graph.ints(1))
        return graph.op("Sub", length, graph.ints(_DROPPED_ROWS))


def _layer_of(graph: Graph, cache: str, layer: int) -> str:
    return graph.op("Squeeze", graph.slice(cache, layer, layer + 1, axis=1), graph.ints(1))


def _swish(graph: Graph, value: str) -> str:
    return graph.op("Mul", value, graph.op("Sigmoid", value))
