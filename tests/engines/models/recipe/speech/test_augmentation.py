"""What augmentation does to an utterance."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engines.models.recipe.speech.augmentation import Augmenter, over_a_plain_telephone, with_noise_at
from engines.models.recipe.speech.festival import Festival
from engines.models.recipe.speech.noise import NoiseBank
from engines.models.recipe.speech.utterances import Studio
from engines.models.recipe.text.sentences import SentenceSource

pytestmark = pytest.mark.recipe

UTTERANCE = np.concatenate(
    [np.zeros(4_000), np.sin(np.arange(16_000) * 0.3) * np.hanning(16_000), np.zeros(4_000)]
).astype(np.float32)


@pytest.fixture(scope="module")
def noises() -> NoiseBank:
    return NoiseBank(
        studio=Studio(Festival()), sentences=SentenceSource(0), rng=Random(0), dice=np.random.default_rng(0)
    )


def augmented(noises: NoiseBank, *, seed: int, count: int) -> list[np.ndarray]:
    augmenter = Augmenter(noises=noises, rng=Random(seed), dice=np.random.default_rng(seed))
    return [augmenter.apply(UTTERANCE) for _ in range(count)]


def test_length_range_and_type_are_kept(noises: NoiseBank) -> None:
    for changed in augmented(noises, seed=0, count=100):
        assert changed.shape == UTTERANCE.shape
        assert changed.dtype == np.float32
        assert 0 < np.abs(changed).max() <= 1


def test_the_same_seed_changes_alike(noises: NoiseBank) -> None:
    for first, again in zip(augmented(noises, seed=4, count=20), augmented(noises, seed=4, count=20), strict=True):
        assert np.array_equal(first, again)


def test_one_utterance_in_eight_keeps_its_digital_silence(noises: NoiseBank) -> None:
    untouched = [not changed[:4_000].any() for changed in augmented(noises, seed=1, count=400)]

    assert np.mean(untouched) == pytest.approx(0.12, abs=0.05)


def test_noise_stands_at_the_asked_distance(noises: NoiseBank) -> None:
    noisy = with_noise_at(UTTERANCE, noises, Random(0), names=("white",), below_db=10)
    scale = noisy[4_000:20_000] @ UTTERANCE[4_000:20_000] / (UTTERANCE**2).sum()
    rest = noisy - scale * UTTERANCE
    speech_db = 10 * np.log10(((scale * UTTERANCE) ** 2).mean() / (rest**2).mean())

    assert speech_db == pytest.approx(10, abs=0.3)


def test_the_plain_telephone_has_no_upper_band(noises: NoiseBank) -> None:
    heard = over_a_plain_telephone(UTTERANCE, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(heard)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(heard), 1 / 16_000)

    assert power[frequencies_hz > 4_200].sum() < 1e-3 * power.sum()
