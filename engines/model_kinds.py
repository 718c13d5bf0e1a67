"""Which kind of model a path means, by what lies there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from engines.transducers.files import has_transducer


class ModelKind(StrEnum):
    """The kinds of streaming model that an engine runs."""

    ctc = "ctc"
    """One network with log-probabilities, as NeMo exports it."""
    transducer = "transducer"
    """Encoder, decoder and joiner, as icefall exports them."""


def kind_of(path: Path | str) -> ModelKind:
    """Tell a transducer's folder by its joiner; everything else is checked as a CTC model."""
    try:
        return ModelKind.transducer if has_transducer(Path(path)) else ModelKind.ctc
    except (OSError, ValueError):
        return ModelKind.ctc
