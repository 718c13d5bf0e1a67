"""Small transducers with random weights, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.models.lstm_transducer import LstmTransducer
from tests.models.zipformer_transducer import ZipformerTransducer

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "zipformer2": ZipformerTransducer(),
    "lstm": LstmTransducer(),
    "lstm-with-projection": LstmTransducer(d_model=24, rnn_hidden_size=56),
}


@pytest.fixture(scope="session", params=KINDS, ids=str)
def transducer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the contract; leave it as it is."""
    return KINDS[request.param].write(tmp_path_factory.mktemp("transducer") / request.param)
