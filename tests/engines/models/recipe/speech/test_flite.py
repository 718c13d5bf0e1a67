"""flite in this process."""

from __future__ import annotations

import numpy as np
import pytest

from engines.models.recipe.speech.espeak import SynthesiserMissing
from engines.models.recipe.speech.flite import FLITE_VOICES, Flite

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def flite() -> Flite:
    return Flite()


@pytest.mark.parametrize("voice", FLITE_VOICES)
def test_every_voice_speaks(flite: Flite, voice: str) -> None:
    samples, sample_rate_hz = flite.say("four five six", voice=voice, mean_pitch_hz=120)

    assert sample_rate_hz == (8_000 if voice == "kal" else 16_000)
    assert 0.5 < len(samples) / sample_rate_hz < 3
    assert np.abs(samples).max() > 1_000


def test_settings_of_one_call_do_not_leak_into_the_next(flite: Flite) -> None:
    first, _ = flite.say("four five six", voice="slt", mean_pitch_hz=175)
    slow, _ = flite.say("four five six", voice="slt", mean_pitch_hz=220, duration_stretch=1.3)
    again, _ = flite.say("four five six", voice="slt", mean_pitch_hz=175)

    assert len(slow) > 1.2 * len(first)
    assert len(again) == len(first)


def test_a_voice_that_is_not_installed_is_named() -> None:
    with pytest.raises(SynthesiserMissing, match="nobody"):
        Flite(("nobody",))
