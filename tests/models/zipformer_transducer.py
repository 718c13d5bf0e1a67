"""A small zipformer2 transducer with random weights, in the shape that icefall's export-onnx-streaming.py gives.

Its layers are simpler than a Zipformer's, but all six states of each layer, the state of the embedding and the count of
processed frames flow and matter as they do there: keys, values and the non-linear attention reach back into their
caches, convolutions see the frames before, and `processed_lens` masks what a stream has not yet heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tests.models.graph import FLOAT, INT64, Graph
from tests.models.transducer_parts import Joint, write_joint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEATURES = 80
_EMBED_CHANNELS, _EMBED_PAST, _BANDS = 128, 3, 19
_EMBED_KERNEL, _EMBED_STRIDES = (7, 5), (2, 4)
_FEATURE_MEAN, _FEATURE_SCALE = 7.0, 0.25
_MASKED = -1_000.0


@dataclass(frozen=True)
class Stack:
    """Layers of one width, at 50 frames a second over `downsampling`."""

    dim: int = 32
    layers: int = 2
    heads: int = 4
    query_head_dim: int = 8
    value_head_dim: int = 6
    kernel: int = 9
    downsampling: int = 1


@dataclass(frozen=True)
class Layer:
    """One layer's sizes and the names of its states, in the order of the export."""

    stack: Stack
    left: int
    frames: int
    states: tuple[str, ...]


@dataclass(frozen=True)
class ZipformerTransducer:
    """The last stack must be at 25 frames a second: its rows are the encoder's."""

    stacks: tuple[Stack, ...] = (Stack(), Stack(dim=48, layers=1, heads=2, query_head_dim=12, kernel=7, downsampling=2))
    shift_frames: int = 32
    left_frames: int = 16
    """How far the layers reach back, at 50 frames a second."""
    joint: Joint = field(default_factory=Joint)
    seed: int = 3
    has_open_batch: bool = True

    @property
    def window_frames(self) -> int:
        return self.shift_frames + 13

    @property
    def chunk(self) -> int:
        """Frames of a step behind the embedding, at 50 a second."""
        return self.shift_frames // 2

    @property
    def rows(self) -> int:
        return self.shift_frames // 4

    def state_shapes(self) -> Iterator[tuple[str, int, tuple[int | str, ...]]]:
        """Give name, type and shape of every state, in order; the batch is named N."""
        number = 0
        for stack in self.stacks:
            left = self.left_frames // stack.downsampling
            past = stack.kernel // 2
            shapes: dict[str, tuple[int | str, ...]] = {
                "cached_key": (left, "N", stack.query_head_dim * stack.heads),
                "cached_nonlin_attn": (1, "N", left, 3 * stack.dim // 4),
                "cached_val1": (left, "N", stack.value_head_dim * stack.heads),
                "cached_val2": (left, "N", stack.value_head_dim * stack.heads),
                "cached_conv1": ("N", stack.dim, past),
                "cached_conv2": ("N", stack.dim, past),
            }
            for _ in range(stack.layers):
                yield from ((f"{name}_{number}", FLOAT, shape) for name, shape in shapes.items())
                number += 1
        yield "embed_states", FLOAT, ("N", _EMBED_CHANNELS, _EMBED_PAST, _BANDS)
        yield "processed_lens", INT64, ("N",)

    def write(self, folder: Path) -> Path:
        """Write encoder.onnx, decoder.onnx, joiner.onnx and tokens.txt; give the folder."""
        write_joint(folder, self.joint)
        graph = Graph(seed=self.seed)
        x = graph.input("x", FLOAT, self._batched("N", self.window_frames, FEATURES))
        states = [
            graph.input(name, element_type, self._batched(*shape)) for name, element_type, shape in self.state_shapes()
        ]
        rows, next_states = self._encoder(graph, x, states)
        out = graph.op("Transpose", rows, perm=[1, 0, 2])
        out = graph.linear(out, self.stacks[-1].dim, self.joint.joiner_dim, gain=2.5)
        graph.output("encoder_out", out, FLOAT, self._batched("N", self.rows, self.joint.joiner_dim))
        for value, (name, element_type, shape) in zip(next_states, self.state_shapes(), strict=True):
            graph.output(f"new_{name}", value, element_type, self._batched(*shape))
        graph.write(folder / "encoder.onnx", self.metadata())
        return folder

    def metadata(self) -> dict[str, object]:
        def listed(values: Iterator[int]) -> str:
            return ",".join(map(str, values))

        return {
            "model_type": "zipformer2",
            "version": "1",
            "model_author": "k2-fsa",
            "comment": "streaming zipformer2",
            "decode_chunk_len": self.shift_frames,
            "T": self.window_frames,
            "num_encoder_layers": listed(stack.layers for stack in self.stacks),
            "encoder_dims": listed(stack.dim for stack in self.stacks),
            "cnn_module_kernels": listed(stack.kernel for stack in self.stacks),
            "left_context_len": listed(self.left_frames // stack.downsampling for stack in self.stacks),
            "query_head_dims": listed(stack.query_head_dim for stack in self.stacks),
            "value_head_dims": listed(stack.value_head_dim for stack in self.stacks),
            "num_heads": listed(stack.heads for stack in self.stacks),
        }

    def _batched(self, *shape: int | str) -> tuple[int | str, ...]:
        return shape if self.has_open_batch else tuple(1 if size == "N" else size for size in shape)

    def _encoder(self, graph: Graph, x: str, states: list[str]) -> tuple[str, list[str]]:
        frames, next_embed = self._embed(graph, x, states[-2])
        mask = self._mask(graph, states[-1])
        next_states: list[str] = []
        dim, downsampling, number = self.stacks[0].dim, 1, 0
        for stack in self.stacks:
            if stack.downsampling > downsampling:
                factor = stack.downsampling // downsampling
                frames = graph.reshape(frames, self.chunk // stack.downsampling, factor, -1, dim)
                frames = graph.op("ReduceMean", frames, axes=[1], keepdims=0)
            if stack.dim != dim:
                frames = graph.linear(frames, dim, stack.dim)
            dim, downsampling = stack.dim, stack.downsampling
            stack_mask = graph.slice(mask, 0, self.left_frames + self.chunk, axis=3, step=downsampling)
            for _ in range(stack.layers):
                names = tuple(states[6 * number : 6 * number + 6])
                layer = Layer(stack, self.left_frames // downsampling, self.chunk // downsampling, names)
                frames, layer_states = _layer(graph, layer, frames, stack_mask)
                next_states += layer_states
                number += 1
        processed = graph.op("Add", states[-1], graph.ints(self.chunk))
        return frames, [*next_states, next_embed, processed]

    def _embed(self, graph: Graph, x: str, past: str) -> tuple[str, str]:
        """Give (chunk, N, dim) and the next state: three frames before and three behind each are mixed in."""
        level = graph.op("Add", x, graph.constant(np.array(_FEATURE_MEAN, np.float32)))
        scaled = graph.op("Mul", level, graph.constant(np.array(_FEATURE_SCALE, np.float32)))
        kernel = graph.weights(_EMBED_CHANNELS, 1, *_EMBED_KERNEL, fan_in=_EMBED_KERNEL[0] * _EMBED_KERNEL[1])
        picture = graph.op("Unsqueeze", scaled, graph.ints(1))
        heard = graph.op("Tanh", graph.op("Conv", picture, kernel, strides=list(_EMBED_STRIDES)))
        heard = graph.slice(heard, 0, self.chunk + _EMBED_PAST, axis=2)
        width = 2 * _EMBED_PAST + 1
        depthwise = graph.weights(_EMBED_CHANNELS, 1, width, 1, fan_in=width)
        mixed = graph.op("Conv", graph.op("Concat", past, heard, axis=2), depthwise, group=_EMBED_CHANNELS)
        flat = graph.reshape(graph.op("Transpose", mixed, perm=[2, 0, 1, 3]), self.chunk, -1, _EMBED_CHANNELS * _BANDS)
        dim = self.stacks[0].dim
        frames = graph.norm(graph.linear(flat, _EMBED_CHANNELS * _BANDS, dim), dim)
        return frames, graph.slice(heard, self.chunk - _EMBED_PAST, self.chunk, axis=2)

    def _mask(self, graph: Graph, processed: str) -> str:
        """Give (N, 1, 1, left + chunk): 0 for what has been heard, far below 0 for the part of the cache before it."""
        ages = graph.constant(np.arange(self.left_frames, dtype=np.int64)[::-1].copy()[None])
        is_unheard = graph.op("LessOrEqual", graph.op("Unsqueeze", processed, graph.ints(1)), ages)
        penalty = graph.op("Mul", graph.op("Cast", is_unheard, to=FLOAT), graph.constant(np.array(_MASKED, np.float32)))
        padded = graph.op("Pad", penalty, graph.ints(0, 0, 0, self.chunk))
        return graph.op("Unsqueeze", padded, graph.ints(1, 2))


def _layer(graph: Graph, layer: Layer, frames: str, mask: str) -> tuple[str, list[str]]:
    """Give the layer's frames, (frames, N, dim), and its six next states."""
    key, nonlin, val1, val2, conv1, conv2 = layer.states
    dim = layer.stack.dim
    attention, next_key = _attention(graph, layer, frames, key, mask)
    nonlinear, next_nonlin = _nonlinear_attention(graph, layer, frames, nonlin, attention)
    frames = graph.add(frames, nonlinear)
    next_states = []
    for values, past in ((val1, conv1), (val2, conv2)):
        attended, next_values = _self_attention(graph, layer, frames, values, attention)
        frames = graph.norm(graph.add(frames, attended), dim)
        convolved, next_past = _convolution(graph, layer, frames, past)
        frames = graph.norm(graph.add(frames, convolved), dim)
        next_states.append((next_values, next_past))
    (next_val1, next_conv1), (next_val2, next_conv2) = next_states
    return frames, [next_key, next_nonlin, next_val1, next_val2, next_conv1, next_conv2]


def _shifted(graph: Graph, layer: Layer, cache: str, new: str, *, axis: int) -> tuple[str, str]:
    """Put the new frames behind the cache; give all of them and the cache of the next step."""
    together = graph.op("Concat", cache, new, axis=axis)
    return together, graph.slice(together, layer.frames, layer.frames + layer.left, axis=axis)


def _by_head(graph: Graph, layer: Layer, frames: str, count: int, head_dim: int, *, perm: list[int]) -> str:
    return graph.op("Transpose", graph.reshape(frames, count, -1, layer.stack.heads, head_dim), perm=perm)


def _attention(graph: Graph, layer: Layer, frames: str, cached_key: str, mask: str) -> tuple[str, str]:
    """Give (N, heads, frames, left + frames) weights."""
    stack = layer.stack
    size = stack.heads * stack.query_head_dim
    keys, next_key = _shifted(graph, layer, cached_key, graph.linear(frames, stack.dim, size), axis=0)
    queries = _by_head(
        graph, layer, graph.linear(frames, stack.dim, size), layer.frames, stack.query_head_dim, perm=[1, 2, 0, 3]
    )
    keys = _by_head(graph, layer, keys, layer.left + layer.frames, stack.query_head_dim, perm=[1, 2, 3, 0])
    scale = graph.constant(np.array(1.5 / np.sqrt(stack.query_head_dim), np.float32))
    scores = graph.op("Mul", graph.op("MatMul", queries, keys), scale)
    return graph.op("Softmax", graph.add(scores, mask), axis=-1), next_key


def _nonlinear_attention(graph: Graph, layer: Layer, frames: str, cache: str, attention: str) -> tuple[str, str]:
    """The first head's weights over a non-linear view of the frames; the cache is (1, N, left, 3 dim / 4)."""
    dim = layer.stack.dim
    hidden = 3 * dim // 4
    heard = graph.op("Tanh", graph.linear(frames, dim, hidden))
    new = graph.op("Unsqueeze", graph.op("Transpose", heard, perm=[1, 0, 2]), graph.ints(0))
    together, next_cache = _shifted(graph, layer, cache, new, axis=2)
    head = graph.op("Squeeze", graph.slice(attention, 0, 1, axis=1), graph.ints(1))
    seen = graph.op("MatMul", head, graph.op("Squeeze", together, graph.ints(0)))
    return graph.linear(graph.op("Transpose", seen, perm=[1, 0, 2]), hidden, dim), next_cache


def _self_attention(graph: Graph, layer: Layer, frames: str, cache: str, attention: str) -> tuple[str, str]:
    stack = layer.stack
    size = stack.heads * stack.value_head_dim
    values, next_cache = _shifted(graph, layer, cache, graph.linear(frames, stack.dim, size), axis=0)
    values = _by_head(graph, layer, values, layer.left + layer.frames, stack.value_head_dim, perm=[1, 2, 0, 3])
    seen = graph.op("Transpose", graph.op("MatMul", attention, values), perm=[2, 0, 1, 3])
    return graph.linear(graph.reshape(seen, layer.frames, -1, size), size, stack.dim), next_cache


def _convolution(graph: Graph, layer: Layer, frames: str, past: str) -> tuple[str, str]:
    """A causal depthwise convolution over the half kernel's past, (N, dim, kernel // 2)."""
    stack = layer.stack
    count = stack.kernel // 2
    new = graph.op("Transpose", graph.linear(frames, stack.dim, stack.dim), perm=[1, 2, 0])
    together = graph.op("Concat", past, new, axis=2)
    kernel = graph.weights(stack.dim, 1, count + 1, fan_in=count + 1)
    mixed = graph.op("Tanh", graph.op("Conv", together, kernel, group=stack.dim))
    next_past = graph.slice(together, layer.frames, layer.frames + count, axis=2)
    return graph.op("Transpose", mixed, perm=[2, 0, 1]), next_past
