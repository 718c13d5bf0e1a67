"""The nouns: what audio formats may say."""

from __future__ import annotations

import pytest

from policies.facts import AudioEncoding, AudioFormat

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_usual_rates_are_read(rate_hz: int) -> None:
    assert AudioFormat(AudioEncoding.pcm_s16le, rate_hz, 2, 1).mistakes() == []


def test_every_mistake_is_listed_with_what_was_expected() -> None:
    assert AudioFormat(AudioEncoding.mulaw, 7_999, 2, 2).mistakes() == [
        "sample_rate_hz must be 8000 to 48000, not 7999",
        "channel must be 0 to 1 for 2 channels, not 2",
    ]
    assert AudioFormat(AudioEncoding.opus, 96_000, 9, 0).mistakes() == [
        "sample_rate_hz must be 8000 to 48000, not 96000",
        "channels must be 1 to 8, not 9",
    ]


def test_a_stream_that_describes_itself_need_not_be_told_its_rate() -> None:
    assert AudioFormat(AudioEncoding.mp3, 0, 1, 0).mistakes() == []


def test_raw_messages_hold_whole_instants() -> None:
    assert AudioFormat(AudioEncoding.pcm_f32le, 48_000, 3, 0).bytes_per_instant == 12
    assert AudioEncoding.alaw.is_raw
    assert not AudioEncoding.opus.is_raw
