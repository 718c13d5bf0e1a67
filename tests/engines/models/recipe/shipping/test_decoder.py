"""The measuring decoder over the embedded file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import engines.models
from engines.models.recipe.shipping.decoder import GreedyDecoder, read_tokens
from engines.models.recipe.shipping.labelled_wavs import read_folder

pytestmark = pytest.mark.integration

MODELS = Path(engines.models.__file__).parent


@pytest.fixture(scope="module")
def decoder() -> GreedyDecoder:
    return GreedyDecoder(MODELS / "embedded")


def test_a_stream_gives_the_same_alone_and_in_any_batch(decoder: GreedyDecoder) -> None:
    windows = np.random.default_rng(0).standard_normal((8, 39, 80)).astype(np.float32) * 2 - 9
    together, together_state = decoder.step(windows, decoder.fresh_state(8))
    together, _ = decoder.step(windows[::-1], together_state)
    for row in (0, 3, 7):
        _, state = decoder.step(windows[row : row + 1], decoder.fresh_state())
        alone, _ = decoder.step(windows[::-1][row : row + 1], state)

        assert np.abs(alone[0] - together[row]).max() < 1e-4
        assert np.array_equal(alone[0].argmax(-1), together[row].argmax(-1))


@pytest.mark.parametrize("level", [0.0, 1e-3, 1e-1])
def test_silence_and_noise_give_no_words(decoder: GreedyDecoder, level: float) -> None:
    noise = np.random.default_rng(1).standard_normal(10 * 16_000).astype(np.float32) * np.float32(level)

    assert decoder.decode(noise).text == ""


def test_audio_shorter_than_a_window_gives_no_words(decoder: GreedyDecoder) -> None:
    decoding = decoder.decode(np.zeros(800, np.float32), tail_s=0.0)

    assert (decoding.text, decoding.log_probs.shape, decoding.margin) == ("", (0, 513), 0.0)


def test_repeated_tokens_join_and_blanks_part_them(decoder: GreedyDecoder) -> None:
    tokens = read_tokens(MODELS / "embedded" / "tokens.txt")
    five, blank = tokens.index("\u2581five"), len(tokens) - 1
    log_probs = np.zeros((4, len(tokens)), np.float32)
    log_probs[np.arange(4), [five, five, blank, five]] = 1.0

    assert decoder.words(log_probs) == "five five"


def test_a_recording_is_recognised_with_its_margin(decoder: GreedyDecoder) -> None:
    wav = next(wav for wav in read_folder(MODELS / "recordings") if wav.path.name == "digits_slt.wav")
    decoding = decoder.decode(wav.samples())

    assert decoding.text == wav.text
    assert decoding.margin > 0
