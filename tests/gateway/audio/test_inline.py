"""Handing PCM over in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.inline import InlineDecoder, deliver, ignore
from gateway.audio.interface import MAX_PCM_BYTES, GapExtent
from gateway.audio.raw import RawDecoder
from policies.facts import AudioEncoding, AudioFormat

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("num_bytes", [0, 2, MAX_PCM_BYTES, MAX_PCM_BYTES + 2, 3 * MAX_PCM_BYTES + 4])
def test_pieces_are_the_whole_and_at_most_a_second_each(num_bytes):
    heard: list[bytes] = []
    pcm16 = bytes(num_bytes)
    deliver(pcm16, heard.append)
    assert b"".join(heard) == pcm16
    assert all(0 < len(piece) <= MAX_PCM_BYTES for piece in heard)


def test_a_decoder_closed_between_two_pieces_gives_no_more():
    heard: list[bytes] = []

    class Doubling(InlineDecoder):
        def _decode(self, data: bytes) -> bytes:
            return data + data

    def hear(pcm16: bytes) -> None:
        heard.append(pcm16)
        decoder.close()

    decoder = Doubling(16_000, on_pcm=hear, on_error=pytest.fail)
    decoder.feed(bytes(MAX_PCM_BYTES))
    assert len(heard) == 1


def gapped(decoder: InlineDecoder, samples: int) -> GapExtent:
    """Announce a gap, then feed it as a session does: a second at a time at most."""
    extent = decoder.extent_of_gap(samples)
    for at in range(0, samples, 8_000):
        decoder.feed_silence(min(8_000, samples - at))
    return extent


@given(
    st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000]),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 1_500)), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_gaps_are_silence_of_their_length_and_lie_where_they_were_told(
    rate_hz: int, parts: list[tuple[int, int]]
) -> None:
    """The same samples as from a client that sent silence there, and no drift over however many gaps."""
    told: list[tuple[int, int]] = []
    with_gaps, with_silence = bytearray(), bytearray()
    spec = AudioFormat(AudioEncoding.pcm_s16le, rate_hz, 1, 0)
    one = RawDecoder(spec, on_pcm=with_gaps.extend, on_error=ignore)
    other = RawDecoder(spec, on_pcm=with_silence.extend, on_error=ignore)
    at = 0
    for sound_samples, gap_samples in parts:
        sound = b"\x00\x20" * sound_samples
        one.feed(sound)
        start = len(with_gaps) // 2
        extent = gapped(one, gap_samples)
        told.append((start + extent.held_back_samples, extent.num_samples))
        other.feed(sound + bytes(2 * gap_samples))
        at += sound_samples
        assert told[-1][0] == pytest.approx(at * 16_000 // rate_hz, abs=1)
        at += gap_samples
        assert sum(told[-1]) == pytest.approx(at * 16_000 // rate_hz, abs=1)
    one.finish(ignore)
    other.finish(ignore)
    assert with_gaps == with_silence
    assert abs(len(with_gaps) // 2 - at * 16_000 / rate_hz) <= 1
