"""The wait for the first words is measured once."""

from __future__ import annotations

import pytest

from gateway.session.effects import Figure, Measured
from gateway.session.first_words import FirstWords

pytestmark = pytest.mark.unit


def test_the_first_words_after_the_first_audio_are_measured_and_no_others() -> None:
    words = FirstWords()
    assert words.shown(5) == []
    words.audio_at_ms = 10
    assert words.shown(310) == [Measured(Figure.first_partial_elapsed_ms, 300)]
    assert words.shown(400) == []
