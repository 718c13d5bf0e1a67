"""A front end's window and filters are Kaldi's and librosa's."""

from __future__ import annotations

import numpy as np
import pytest

from engines.contract import KALDI_FRONT_END, NEMO_FRONT_END, FrontEnd
from engines.recognition.front_ends import frame_window, mel_filters

pytestmark = pytest.mark.unit

BOTH = pytest.mark.parametrize("front_end", [NEMO_FRONT_END, KALDI_FRONT_END], ids=["nemo", "kaldi"])


@BOTH
def test_a_window_does_not_hear_the_first_sample(front_end: FrontEnd) -> None:
    assert frame_window(front_end, samples=400)[0] == 0


def test_a_povey_window_ends_where_it_began() -> None:
    window = frame_window(KALDI_FRONT_END, samples=400)
    np.testing.assert_allclose(window, window[::-1], atol=1e-9)
    assert window[100] == pytest.approx((0.5 - 0.5 * np.cos(2 * np.pi * 100 / 399)) ** 0.85)


@BOTH
@pytest.mark.parametrize("count", [40, 80, 128])
def test_filters_hear_only_between_the_lowest_and_the_highest_frequency(front_end: FrontEnd, count: int) -> None:
    filters = mel_filters(front_end, count=count, fft_size=512)
    hz = np.arange(257) * 16_000 / 512
    assert filters.shape == (257, count)
    assert not filters[(hz <= front_end.lowest_hz) | (hz >= front_end.highest_hz)].any()
    assert filters.any(axis=0).sum() >= count - 2  # the narrowest may lie between two bins


def test_kaldis_filters_have_a_height_of_one_and_add_up_to_one_between_their_middles() -> None:
    filters = mel_filters(KALDI_FRONT_END, count=40, fft_size=512)
    assert filters.max() <= 1
    np.testing.assert_allclose(filters[10:200].sum(axis=1), 1)


def test_slaneys_filters_have_equal_areas() -> None:
    filters = mel_filters(NEMO_FRONT_END, count=40, fft_size=8_192)
    np.testing.assert_allclose(filters.sum(axis=0) * 16_000 / 8_192, 1, rtol=0.02)
