"""Handing PCM over in pieces."""

from __future__ import annotations

import pytest

from gateway.audio.inline import InlineDecoder, deliver
from gateway.audio.interface import MAX_PCM_BYTES

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
