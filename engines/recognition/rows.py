"""What a model's step gave one stream, whatever kind of model it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.contract import Emissions

if TYPE_CHECKING:
    from engines.contract import FloatArray


class Rows(NamedTuple):
    """The rows of one step; both parts have one entry for each.

    `log_probabilities` is (rows, outputs) of a CTC model, and (rows,) of a transducer: of the piece that was emitted.
    `best_tokens` are the best piece of each row, the blank where it is none.
    """

    log_probabilities: FloatArray
    best_tokens: list[int]


def rows_by_stream(result: FloatArray | Emissions) -> list[Rows]:
    """Part what a batch's step gave into what each of its streams got."""
    if isinstance(result, Emissions):
        return [
            Rows(log_probabilities, tokens)
            for log_probabilities, tokens in zip(result.log_probabilities, result.tokens.tolist(), strict=True)
        ]
    return [Rows(*rows) for rows in zip(result, result.argmax(axis=-1).tolist(), strict=True)]
