"""The noise bank."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engines.models.recipe.speech.festival import Festival
from engines.models.recipe.speech.noise import NoiseBank
from engines.models.recipe.speech.utterances import Studio
from engines.models.recipe.text.sentences import SentenceSource

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def bank() -> NoiseBank:
    return NoiseBank(
        studio=Studio(Festival()), sentences=SentenceSource(0), rng=Random(0), dice=np.random.default_rng(0)
    )


def test_every_noise_has_unit_power(bank: NoiseBank) -> None:
    assert len(bank.names) == 12
    for name in bank.names:
        noise = bank.named(name, Random(0), 40 * 16_000)

        assert np.sqrt((noise**2).mean()) == pytest.approx(1.0, abs=1e-3)
        assert noise.dtype == np.float32


def test_a_stretch_may_be_longer_than_the_bank(bank: NoiseBank) -> None:
    assert len(bank.draw(Random(0), 50 * 16_000)) == 50 * 16_000


def test_coloured_noise_has_more_bass_than_white(bank: NoiseBank) -> None:
    def bass_share(name: str) -> float:
        power = np.abs(np.fft.rfft(bank.named(name, Random(0), 16_000))) ** 2
        return float(power[:500].sum() / power.sum())

    assert bass_share("coloured 2") > 0.6 > bass_share("white")
