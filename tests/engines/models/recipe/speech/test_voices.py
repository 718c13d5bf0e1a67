"""Which voices training draws, and which it must never draw."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from engines.models.recipe.speech.voices import (
    HELD_OUT_VARIANTS,
    HELD_OUT_VOICES,
    SYNTHESISER_SHARES,
    TRAINED_VARIANTS,
    draw_utterance,
    plain_utterance,
)
from engines.models.recipe.text.sentences import Sentence, SentenceSource

pytestmark = pytest.mark.unit


def test_training_never_draws_a_held_out_voice() -> None:
    rng, sentences = Random(0), SentenceSource(0)
    voices = {draw_utterance(rng, sentences).voice for _ in range(3_000)}

    assert not voices & set(HELD_OUT_VOICES)
    assert not {voice.partition("+")[2] for voice in voices} & set(HELD_OUT_VARIANTS)
    assert not set(TRAINED_VARIANTS) & set(HELD_OUT_VARIANTS)


def test_synthesisers_are_drawn_by_their_shares() -> None:
    rng, sentences = Random(0), SentenceSource(0)
    drawn = Counter(draw_utterance(rng, sentences).synthesiser for _ in range(4_000))

    for name, share in SYNTHESISER_SHARES.items():
        assert drawn[name] / 4_000 == pytest.approx(share, abs=0.03)


def test_one_utterance_in_twelve_holds_two_sentences() -> None:
    rng, sentences = Random(0), SentenceSource(0)
    lengths = Counter(len(draw_utterance(rng, sentences).sentences) for _ in range(4_000))

    assert set(lengths) == {1, 2}
    assert lengths[2] / 4_000 == pytest.approx(0.08, abs=0.02)


def test_a_given_sentence_is_said_alone() -> None:
    sentence = Sentence("hello", "hello")
    rng, sentences = Random(0), SentenceSource(0)

    assert {draw_utterance(rng, sentences, sentence=sentence).sentences for _ in range(200)} == {(sentence,)}


def test_a_plain_utterance_keeps_the_voice_as_it_is() -> None:
    spec = plain_utterance("rms", "rms", Sentence("hello", "hello"))

    assert (spec.resampling_ratio, spec.duration_stretch, spec.mean_pitch_hz, spec.text) == (1.0, 1.0, 95, "hello")
