"""Audio that is sent again begins where the session's clock says, and never behind where it goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
