"""sherpa-onnx agrees with our decoder."""

from __future__ import annotations

from pathlib import Path

import pytest

import engines.models
from engines.models.recipe.shipping.decoder import GreedyDecoder
from engines.models.recipe.shipping.labelled_wavs import read_folder
from engines.models.recipe.shipping.sherpa import SherpaRecogniser

pytestmark = pytest.mark.recipe

MODELS = Path(engines.models.__file__).parent


def test_sherpa_onnx_gives_the_same_text_for_every_recording_whole_and_in_pieces() -> None:
    decoder, sherpa = GreedyDecoder(MODELS / "embedded"), SherpaRecogniser(MODELS / "embedded")
    for wav in read_folder(MODELS / "recordings"):
        samples = wav.samples()

        assert sherpa.differing_ways(samples, decoder.decode(samples).text) == []


def test_a_difference_is_told() -> None:
    wav = read_folder(MODELS / "recordings")[0]

    assert SherpaRecogniser(MODELS / "embedded").differing_ways(wav.samples(), "other words") == ["whole", "in pieces"]
