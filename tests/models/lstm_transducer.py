"""A small LSTM transducer with random weights, in the shape that icefall's lstm_transducer_stateless2 exports.

Where `rnn_hidden_size` is `d_model` its layers are ONNX's LSTM; where it is larger they are LSTMs with a projection,
written out gate by gate for one row a step, as icefall's lstmp.py does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tests.models.graph import FLOAT, Graph
from tests.models.transducer_parts import Joint, write_joint

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = 80
_CHANNELS, _KERNEL, _BANDS = 8, (9, 5), 19
_FEATURE_MEAN, _FEATURE_SCALE = 7.0, 0.25
_RECURRENCE_GAIN = 1.5


@dataclass(frozen=True)
class LstmTransducer:
    """`shift_frames` is 4 in icefall's exports, one row a step."""

    layers: int = 2
    d_model: int = 32
    rnn_hidden_size: int = 32
    shift_frames: int = 4
    joint: Joint = field(default_factory=Joint)
    seed: int = 5

    @property
    def window_frames(self) -> int:
        return self.shift_frames + 5

    @property
    def rows(self) -> int:
        return self.shift_frames // 4

    def write(self, folder: Path) -> Path:
        """Write encoder.onnx, decoder.onnx, joiner.onnx and tokens.txt; give the folder."""
        write_joint(folder, self.joint)
        graph = Graph(seed=self.seed)
        x = graph.input("x", FLOAT, ("N", self.window_frames, FEATURES))
        h_shape, c_shape = (self.layers, "N", self.d_model), (self.layers, "N", self.rnn_hidden_size)
        h = graph.input("state0", FLOAT, h_shape)
        c = graph.input("state1", FLOAT, c_shape)
        rows = self._subsample(graph, x)
        next_h, next_c = [], []
        for layer in range(self.layers):
            states = tuple(graph.slice(state, layer, layer + 1, axis=0) for state in (h, c))
            heard, layer_h, layer_c = (
                self._lstm(graph, rows, states)
                if self.rnn_hidden_size == self.d_model
                else self._lstmp(graph, rows, states)
            )
            rows = graph.norm(graph.add(rows, heard), self.d_model)
            next_h.append(layer_h)
            next_c.append(layer_c)
        out = graph.op("Transpose", graph.linear(rows, self.d_model, self.joint.joiner_dim, gain=2.5), perm=[1, 0, 2])
        graph.output("encoder_out", out, FLOAT, ("N", self.rows, self.joint.joiner_dim))
        graph.output("new_state0", graph.op("Concat", *next_h, axis=0), FLOAT, h_shape)
        graph.output("new_state1", graph.op("Concat", *next_c, axis=0), FLOAT, c_shape)
        graph.write(
            folder / "encoder.onnx",
            {
                "model_type": "lstm",
                "version": "1",
                "model_author": "k2-fsa",
                "decode_chunk_len": self.shift_frames,
                "T": self.window_frames,
                "num_encoder_layers": self.layers,
                "d_model": self.d_model,
                "rnn_hidden_size": self.rnn_hidden_size,
            },
        )
        return folder

    def _subsample(self, graph: Graph, x: str) -> str:
        """Give (rows, N, d_model)."""
        level = graph.op("Add", x, graph.constant(np.array(_FEATURE_MEAN, np.float32)))
        scaled = graph.op("Mul", level, graph.constant(np.array(_FEATURE_SCALE, np.float32)))
        kernel = graph.weights(_CHANNELS, 1, *_KERNEL, fan_in=_KERNEL[0] * _KERNEL[1])
        picture = graph.op("Unsqueeze", scaled, graph.ints(1))
        heard = graph.op("Tanh", graph.op("Conv", picture, kernel, strides=[4, 4]))
        flat = graph.reshape(graph.op("Transpose", heard, perm=[2, 0, 1, 3]), self.rows, -1, _CHANNELS * _BANDS)
        return graph.norm(graph.linear(flat, _CHANNELS * _BANDS, self.d_model), self.d_model)

    def _lstm(self, graph: Graph, rows: str, states: tuple[str, ...]) -> tuple[str, str, str]:
        size = self.d_model
        weights = graph.weights(1, 4 * size, size, fan_in=size)
        recurrence = graph.weights(1, 4 * size, size, fan_in=size, gain=_RECURRENCE_GAIN)
        heard = graph.op("LSTM", rows, weights, recurrence, "", "", *states, outputs=3, hidden_size=size)
        return graph.op("Squeeze", heard, graph.ints(1)), f"{heard}_1", f"{heard}_2"

    def _lstmp(self, graph: Graph, row: str, states: tuple[str, ...]) -> tuple[str, str, str]:
        """One row, (1, N, d_model): gates from the row and h, then h is projected from the cell's output."""
        hidden, (h, c) = self.rnn_hidden_size, states
        gates = graph.add(
            graph.linear(row, self.d_model, 4 * hidden),
            graph.linear(h, self.d_model, 4 * hidden, gain=_RECURRENCE_GAIN),
        )
        i, f, g, o = (graph.slice(gates, part * hidden, (part + 1) * hidden, axis=2) for part in range(4))
        kept = graph.op("Mul", graph.op("Sigmoid", f), c)
        next_c = graph.add(kept, graph.op("Mul", graph.op("Sigmoid", i), graph.op("Tanh", g)))
        said = graph.op("Mul", graph.op("Sigmoid", o), graph.op("Tanh", next_c))
        next_h = graph.linear(said, hidden, self.d_model, gain=2.0)
        return next_h, next_h, next_c
