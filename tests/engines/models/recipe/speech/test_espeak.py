"""espeak-ng in this process."""

from __future__ import annotations

import pytest

from engines.models.recipe.speech.espeak import Espeak, EspeakManner, SynthesiserMissing

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak()


def test_the_same_words_last_as_long_again(espeak: Espeak) -> None:
    first, sample_rate_hz = espeak.say("four five six", voice="en-us", manner=EspeakManner())
    other, _ = espeak.say("seven", voice="en-gb-x-rp+f3", manner=EspeakManner(pitch=80))
    again, _ = espeak.say("four five six", voice="en-us", manner=EspeakManner())

    assert sample_rate_hz == 22_050
    assert abs(len(first) - len(again)) < 0.01 * sample_rate_hz
    assert len(other) < 0.8 * len(first)


def test_a_faster_manner_is_shorter(espeak: Espeak) -> None:
    slow, _ = espeak.say("set the volume to ten", voice="en", manner=EspeakManner(words_per_minute=120))
    fast, _ = espeak.say("set the volume to ten", voice="en", manner=EspeakManner(words_per_minute=220))

    assert len(fast) < 0.7 * len(slow)


def test_an_unknown_voice_is_refused(espeak: Espeak) -> None:
    with pytest.raises(SynthesiserMissing):
        espeak.say("one", voice="xx-nowhere", manner=EspeakManner())
