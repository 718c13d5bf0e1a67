"""What a stream may not ask is told in sentences, before it is granted."""

from __future__ import annotations

import pytest

from engines.contract import ModelContract
from engines.interface import Keyword, StreamOptions
from engines.recognition.keywords import PieceIndex
from engines.recognition.option_checks import (
    MAX_BOOST_PERMILLE,
    MAX_CHARACTERS,
    MAX_KEYWORDS,
    MAX_PHRASE_CHARACTERS,
    endpointing_mistakes,
    keyword_mistakes,
)
from engines.recognition.words import Spelling

pytestmark = pytest.mark.unit

INDEX = PieceIndex(
    Spelling(
        ModelContract(
            name="m",
            version="0",
            language="en",
            window_frames=39,
            shift_frames=32,
            subsampling=8,
            feature_dim=80,
            vocab_size=2,
            blank_id=2,
            cache_channel_shape=(1, 1, 1),
            cache_time_shape=(1, 1, 1),
            tokens=("\u2581on", "n", "<blk>"),
        )
    )
)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, []),
        ({"min_trailing_silence_ms": 99}, ["min_trailing_silence_ms must be 100 to 10000, not 99"]),
        (
            {"max_silence_without_speech_ms": 60_001},
            ["max_silence_without_speech_ms must be 500 to 60000, not 60001"],
        ),
        ({"max_utterance_ms": 1_999}, ["max_utterance_ms must be 2000 to 60000, not 1999"]),
    ],
)
def test_durations_lie_in_their_ranges(options: dict[str, int], found: list[str]) -> None:
    assert endpointing_mistakes(StreamOptions(**options)) == found


@pytest.mark.parametrize(
    ("keywords", "found"),
    [
        ([Keyword("on")] * MAX_KEYWORDS, []),
        ([Keyword("on")] * (MAX_KEYWORDS + 1), [f"there may be {MAX_KEYWORDS} keywords, not {MAX_KEYWORDS + 1}"]),
        ([Keyword("o" + "n" * (MAX_PHRASE_CHARACTERS - 1))], []),
        ([Keyword("o" + "n" * MAX_PHRASE_CHARACTERS)], ["keyword 1, 'onnnnnn"]),
        ([Keyword("n" * MAX_PHRASE_CHARACTERS)] * 41, [f"keywords may have {MAX_CHARACTERS} characters together"]),
        ([Keyword("on"), Keyword("off")], ["keyword 2, 'off', cannot be spelled"]),
        ([Keyword("on", -MAX_BOOST_PERMILLE)], []),
        ([Keyword("on", MAX_BOOST_PERMILLE + 1)], ["the boost of keyword 1 must be within"]),
    ],
)
def test_keywords_are_few_short_and_spelled_by_the_model(keywords: list[Keyword], found: list[str]) -> None:
    mistakes = keyword_mistakes(keywords, INDEX)
    assert len(mistakes) == len(found)
    assert all(mistake.startswith(start) for mistake, start in zip(mistakes, found, strict=True))
