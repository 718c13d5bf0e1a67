"""Each stream gets the decoder that its model and its options ask for."""

from __future__ import annotations

from typing import Any

import pytest

from engines.contract import ModelContract
from engines.interface import Decoding, Keyword, StreamOptions
from engines.recognition.beam import BeamPath
from engines.recognition.decoding import GreedyPath
from engines.recognition.paths import CtcPaths
from engines.recognition.words import Spelling

pytestmark = pytest.mark.unit

SPELLING = Spelling(
    ModelContract(
        name="m",
        version="0",
        language="en",
        window_frames=39,
        shift_frames=32,
        subsampling=8,
        feature_dim=80,
        vocab_size=1,
        blank_id=1,
        cache_channel_shape=(1, 1, 1),
        cache_time_shape=(1, 1, 1),
        tokens=("\u2581on", "<blk>"),
    )
)


PATHS = CtcPaths(SPELLING)


def test_a_plain_stream_is_decoded_greedily() -> None:
    new_path = PATHS.for_stream(StreamOptions())
    first, second = new_path(), new_path()
    assert isinstance(first, GreedyPath)
    assert first is not second


@pytest.mark.parametrize("options", [{"decoding": Decoding.beam}, {"keywords": (Keyword("on"),)}])
def test_a_search_is_made_where_it_or_keywords_are_asked_for(options: dict[str, Any]) -> None:
    assert isinstance(PATHS.for_stream(StreamOptions(**options))(), BeamPath)


def test_keywords_that_the_model_cannot_spell_are_told() -> None:
    assert PATHS.mistakes(StreamOptions(keywords=(Keyword("on"), Keyword("off")))) == [
        "keyword 2, 'off', cannot be spelled with what the model writes"
    ]
