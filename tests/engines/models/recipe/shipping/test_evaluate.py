"""Counting errors."""

from __future__ import annotations

from pathlib import Path

import pytest

import engines.models
from engines.models.recipe.shipping.decoder import GreedyDecoder
from engines.models.recipe.shipping.evaluate import score
from engines.models.recipe.shipping.labelled_wavs import read_folder

pytestmark = pytest.mark.recipe


def test_errors_are_counted_over_the_words_of_the_set() -> None:
    result = score("set", [("one two three", "one two three"), ("four five", "four nine"), ("six", "six six")])

    assert (result.sentences, result.words, result.errors, result.exact) == (3, 6, 2, 1)
    assert result.word_error_rate == pytest.approx(2 / 6)


def test_the_recordings_have_the_error_rate_that_their_card_says() -> None:
    models = Path(engines.models.__file__).parent
    decoder = GreedyDecoder(models / "embedded")

    result = score(
        "recordings",
        [(wav.text, decoder.decode(wav.samples()).text) for wav in read_folder(models / "recordings")],
    )

    assert (result.words, result.errors) == (158, 6)
    assert "6 errors in 158 words" in (models / "recordings" / "CARD.md").read_text(encoding="utf-8")
