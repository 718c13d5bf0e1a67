"""From specifications to waveforms."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engines.models.recipe.speech.festival import Festival
from engines.models.recipe.speech.utterances import Studio, assemble, spoken_part, to_pcm16
from engines.models.recipe.speech.voices import draw_utterance, plain_utterance
from engines.models.recipe.text.sentences import Sentence, SentenceSource

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(Festival("no-such-festival"))


def test_the_spoken_part_is_cut_and_its_peak_is_one() -> None:
    take = np.concatenate([np.zeros(8_000), np.full(4_000, -500), np.zeros(8_000)]).astype(np.int16)

    part = spoken_part((take, 16_000))

    assert len(part) == 400 + 4_000 + 799
    assert np.abs(part).max() == 1.0


def test_a_ratio_above_one_shortens() -> None:
    take = (np.sin(np.arange(16_000) / 10) * 9_000).astype(np.int16)

    assert len(spoken_part((take, 16_000), resampling_ratio=1.2)) == pytest.approx(16_000 / 1.2, rel=0.01)


def test_a_silent_take_is_empty() -> None:
    assert not len(spoken_part((np.zeros(1_000, np.int16), 16_000)))


def test_sentences_stand_between_digital_silences() -> None:
    whole = assemble([np.ones(1_000, np.float32), np.ones(1_000, np.float32)], Random(0))
    edges = np.flatnonzero(np.diff(whole))

    assert whole[0] == whole[-1] == 0
    assert len(edges) == 4
    assert 0.25 * 16_000 <= edges[2] - edges[1] <= 1.8 * 16_000


def test_every_drawn_utterance_becomes_a_waveform_of_plausible_length(studio: Studio) -> None:
    rng, sentences = Random(3), SentenceSource(3)
    specs = [draw_utterance(rng, sentences, synthesiser=name) for name in ("espeak", "slt", "awb", "kal16", "kal")]

    recorded = list(studio.record(specs, rng))

    assert [spec for spec, _ in recorded] == specs
    for spec, samples in recorded:
        words_per_s = len(spec.text.split()) / (len(samples) / 16_000)
        assert 0.3 < words_per_s < 6
        assert np.abs(samples).max() == pytest.approx(1.0)


def test_the_same_plain_utterance_lasts_as_long_again(studio: Studio) -> None:
    spec = plain_utterance("rms", "rms", Sentence("four five", "four five"))

    assert len(studio.say(spec, "four five")[0]) == len(studio.say(spec, "four five")[0])


def test_quantising_clips() -> None:
    assert to_pcm16(np.array([-2.0, 0.0, 0.5, 2.0])).tolist() == [-32_767, 0, 16_384, 32_767]
