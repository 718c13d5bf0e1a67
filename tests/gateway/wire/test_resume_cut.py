"""Audio that is sent again begins where the session's clock says, and never behind where it goes on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.resample import Resampler
from gateway.wire.messages import AudioSpec
from gateway.wire.resume_cut import AudioCut, cut_for
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

RAW = [encoding for encoding in AudioEncoding if encoding.is_raw]


def test_raw_audio_at_16_khz_is_cut_at_the_very_sample() -> None:
    assert cut_for(AudioSpec(), 16_007) == AudioCut(32_014, None)
    assert cut_for(AudioSpec("pcm_f32le", 16_000, 2, 1), 7) == AudioCut(56, None)


def test_at_another_rate_half_a_second_more_is_sent_so_that_the_resampler_is_warm() -> None:
    assert cut_for(AudioSpec("mulaw", 8_000), 16_007) == AudioCut(4_000, 500)
    assert cut_for(AudioSpec("pcm_s16le", 44_100), 16_007) == AudioCut(44_100, 500)
    assert cut_for(AudioSpec("pcm_s16le", 11_025), 16_160) == AudioCut(441 * 12 * 2, 480)
    assert cut_for(AudioSpec("mulaw", 8_000), 100) == AudioCut(0, 0)


@pytest.mark.parametrize("encoding", [encoding for encoding in AudioEncoding if not encoding.is_raw])
def test_what_cannot_be_cut_is_sent_from_its_beginning(encoding: AudioEncoding) -> None:
    assert cut_for(AudioSpec(encoding.value), 1_000_000) == AudioCut(0, 0)


@given(st.sampled_from(RAW), st.integers(8_000, 48_000), st.integers(1, 8), st.integers(0, 2**40))
def test_a_cut_is_at_whole_instants_and_says_where_it_is(
    encoding: AudioEncoding, rate_hz: int, channels: int, sample: int
) -> None:
    cut = cut_for(AudioSpec(encoding.value, rate_hz, channels), sample)
    instant, rest = divmod(cut.from_byte, encoding.bytes_per_sample * channels)
    assert rest == 0
    if cut.audio_from_ms is None:
        assert (rate_hz, instant) == (16_000, sample)
    else:
        assert instant * 1_000 == cut.audio_from_ms * rate_hz
        assert cut.audio_from_ms * 16 <= sample


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_a_resampler_that_begins_at_the_cut_gives_the_samples_that_it_gave_before(rate_hz: int) -> None:
    """To within one step of 16 bits: it was warm there for half a second."""
    speech = np.random.default_rng(rate_hz).normal(0, 3_000, 4 * rate_hz).astype(np.float32)
    sample = 30_001

    def heard(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
        resampler = Resampler(rate_hz)
        return np.frombuffer(resampler.accept(audio) + resampler.finish(), "<i2")

    cut = cut_for(AudioSpec("pcm_s16le", rate_hz), sample)
    assert cut.audio_from_ms is not None
    before = heard(speech)[sample:]
    after = heard(speech[cut.from_byte // 2 :])[sample - cut.audio_from_ms * 16 :]
    num_samples = min(len(before), len(after))
    assert num_samples > 30_000
    difference = np.abs(before[:num_samples].astype(int) - after[:num_samples])
    assert difference.max() <= 1
