"""Greedy search over many streams at once: of each row the best piece, or none.

As in sherpa-onnx a row gives at most one piece, and the unknown piece counts as none
(sherpa-onnx/csrc/online-transducer-greedy-search-decoder.cc). Per row there is one call of the joiner for the batch,
and one of the decoder for those streams whose piece changed what it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.contract import Emissions

if TYPE_CHECKING:
    from engines.contract import FloatArray, IndexArray
    from engines.transducers.networks import Networks

BLANK = 0


def greedy_search(
    networks: Networks,
    encoder_out: FloatArray,
    contexts: IndexArray,
    decoder_out: FloatArray,
    *,
    unknown_id: int | None,
) -> Emissions:
    """Read the rows of one step.

    Args:
        encoder_out: (batch, rows, joiner_dim) float32.
        contexts: (batch, context_size) int64, the last pieces of each stream; moved on in place.
        decoder_out: (batch, joiner_dim) float32, what the decoder makes of them; moved on in place.

    Raises:
        one of RUNTIME_ERRORS: the runtime failed; contexts and decoder_out are of no use any more.
    """
    batch, rows, _ = encoder_out.shape
    tokens = np.zeros((batch, rows), np.int64)
    log_probabilities = np.zeros((batch, rows), np.float32)
    for row in range(rows):
        logits = networks.join(np.ascontiguousarray(encoder_out[:, row]), decoder_out)
        best = logits.argmax(axis=-1)
        is_piece = best != BLANK
        if unknown_id is not None:
            is_piece &= best != unknown_id
        said = np.flatnonzero(is_piece)
        if not said.size:
            continue
        pieces = best[said]
        tokens[said, row] = pieces
        log_probabilities[said, row] = _log_probabilities(logits[said], pieces)
        contexts[said, :-1] = contexts[said, 1:]
        contexts[said, -1] = pieces
        decoder_out[said] = networks.decode(contexts[said])
    return Emissions(tokens, log_probabilities)


def _log_probabilities(logits: FloatArray, pieces: IndexArray) -> FloatArray:
    """Of each row's piece; in double precision, so that a sure piece does not come out above 1."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    chosen = shifted[np.arange(len(pieces)), pieces]
    found: FloatArray = (chosen - np.log(np.exp(shifted).sum(axis=-1))).astype(np.float32)
    return found
