"""What transducers of all kinds share: a stateless decoder, a joiner and tokens.txt, as icefall exports them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tests.models.graph import FLOAT, INT64, Graph

if TYPE_CHECKING:
    from pathlib import Path

WORD_MARK = "\u2581"
_GROUP = 4


@dataclass(frozen=True)
class Joint:
    """Sizes of decoder and joiner; the blank is 0 and counts among the pieces."""

    vocab_size: int = 60
    context_size: int = 2
    decoder_dim: int = 32
    joiner_dim: int = 40
    blank_bias: float = 3.0
    seed: int = 11


def write_decoder(path: Path, joint: Joint) -> None:
    """Write what reads the last tokens: an embedding, a convolution in groups of four, ReLU, a projection.

    A token below 0 stands for nothing and is embedded as zeros.
    """
    graph = Graph(seed=joint.seed)
    y = graph.input("y", INT64, ("N", joint.context_size))
    zero = graph.constant(np.array(0, np.int64))
    embedding = graph.weights(joint.vocab_size, joint.decoder_dim, fan_in=1)
    looked_up = graph.op("Gather", embedding, graph.op("Max", y, zero), axis=0)
    is_token = graph.op("Cast", graph.op("GreaterOrEqual", y, zero), to=FLOAT)
    embedded = graph.op("Mul", looked_up, graph.op("Unsqueeze", is_token, graph.ints(2)))
    groups = joint.decoder_dim // _GROUP
    kernel = graph.weights(joint.decoder_dim, _GROUP, joint.context_size, fan_in=_GROUP * joint.context_size)
    mixed = graph.op("Conv", graph.op("Transpose", embedded, perm=[0, 2, 1]), kernel, group=groups)
    heard = graph.op("Squeeze", graph.op("Relu", mixed), graph.ints(2))
    out = graph.linear(heard, joint.decoder_dim, joint.joiner_dim, gain=0.7)
    graph.output("decoder_out", out, FLOAT, ("N", joint.joiner_dim))
    graph.write(path, {"context_size": joint.context_size, "vocab_size": joint.vocab_size})


def write_joiner(path: Path, joint: Joint) -> None:
    """Write what joins a row of the encoder with the decoder's: tanh of the sum, then one matrix."""
    graph = Graph(seed=joint.seed + 1)
    encoder_out = graph.input("encoder_out", FLOAT, ("N", joint.joiner_dim))
    decoder_out = graph.input("decoder_out", FLOAT, ("N", joint.joiner_dim))
    joined = graph.op("Tanh", graph.op("Add", encoder_out, decoder_out))
    bias = np.zeros(joint.vocab_size, np.float32)
    bias[0] = joint.blank_bias
    logit = graph.add(graph.linear(joined, joint.joiner_dim, joint.vocab_size, gain=2.5), graph.constant(bias))
    graph.output("logit", logit, FLOAT, ("N", joint.vocab_size))
    graph.write(path, {"joiner_dim": joint.joiner_dim})


def write_tokens(path: Path, *, vocab_size: int) -> None:
    """Write pieces of which two in three begin a word, and the symbols behind them that icefall's lists end with."""
    syllables = [first + second for first, second in product("bdfgklmnprstvz", "aeiou")]
    pieces = ["<blk>", "<sos/eos>", "<unk>"]
    for number in range(len(pieces), vocab_size):
        syllable = syllables[number % len(syllables)] + "x" * (number // len(syllables))
        pieces.append(syllable if number % 3 == 0 else WORD_MARK + syllable)
    pieces += ["#0", "#1"]
    lines = [f"{piece} {number}\n" for number, piece in enumerate(pieces)]
    path.write_text("".join(lines), encoding="utf-8")


def write_joint(folder: Path, joint: Joint) -> None:
    """Write all but the encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_decoder(folder / "decoder.onnx", joint)
    write_joiner(folder / "joiner.onnx", joint)
    write_tokens(folder / "tokens.txt", vocab_size=joint.vocab_size)
