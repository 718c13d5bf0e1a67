"""Which kind of model a path means, by what lies there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from engines.model_files import check_model
from engines.transducers.files import check_transducer, has_transducer

if TYPE_CHECKING:
    from engines.contract import ModelContract, TransducerContract


class ModelKind(StrEnum):
    """The kinds of streaming model that an engine runs."""

    ctc = "ctc"
    """One network with log-probabilities, as NeMo exports it."""
    transducer = "transducer"
    """Encoder, decoder and joiner, as icefall exports them."""


def kind_of(path: Path | str) -> ModelKind:
    """Tell a transducer's folder by its parts; everything else is checked as a CTC model."""
    try:
        return ModelKind.transducer if has_transducer(Path(path)) else ModelKind.ctc
    except (OSError, ValueError):
        return ModelKind.ctc


def check_files(path: Path | str) -> ModelContract | TransducerContract:
    """Read and try a model of any kind.

    Raises:
        ModelRejected: the files break the contract; it lists every mistake that could be found.
    """
    return check_transducer(path) if kind_of(path) is ModelKind.transducer else check_model(path)
