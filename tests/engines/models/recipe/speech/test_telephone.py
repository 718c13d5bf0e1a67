"""The telephone's band and mu-law."""

from __future__ import annotations

import numpy as np
import pytest

from engines.models.recipe.speech.telephone import band_pass, from_telephone_rate, through_mu_law, to_telephone_rate

pytestmark = pytest.mark.recipe


def tone(frequency_hz: int, *, rate_hz: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(rate_hz) / rate_hz)).astype(np.float32)


def test_mu_law_has_255_levels_and_keeps_quiet_sounds() -> None:
    line = np.linspace(-1, 1, 100_001)
    coded = through_mu_law(line)

    assert len(np.unique(coded)) == 255
    assert np.abs(coded - line).max() < 0.025
    assert np.abs(coded - line)[np.abs(line) < 0.01].max() < 0.0006


def test_the_upper_band_is_lost_and_the_lower_kept() -> None:
    low, high = (
        from_telephone_rate(to_telephone_rate(tone(frequency_hz, rate_hz=16_000))) for frequency_hz in (1_000, 6_000)
    )

    assert np.abs(low[4_000:12_000]).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(high[4_000:12_000]).max() < 0.001


def test_the_band_stops_hum_below_it() -> None:
    passed = band_pass(tone(50, rate_hz=8_000), low_hz=250, high_hz=3_500)

    assert np.abs(passed[4_000:]).max() < 0.02
