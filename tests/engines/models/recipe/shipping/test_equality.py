"""The embedded file in chunks computes what the network computes on the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

import engines.models
from engines.models.recipe.shipping.decoder import GreedyDecoder
from engines.models.recipe.shipping.equality import compare
from engines.models.recipe.shipping.labelled_wavs import read_folder
from engines.models.recipe.shipping.recover import recover

pytestmark = pytest.mark.recipe

MODELS = Path(engines.models.__file__).parent


def test_no_output_has_another_best_token() -> None:
    recordings = [wav.samples() for wav in read_folder(MODELS / "recordings")]

    found = compare(recover(MODELS / "embedded" / "model.onnx"), GreedyDecoder(MODELS / "embedded"), recordings)

    assert found.outputs > 900
    assert found.other_tokens == 0
    assert found.largest_nat < 1e-3
