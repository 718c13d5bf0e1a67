"""The names of codecs."""

from __future__ import annotations

import pytest

from gateway.audio.stream_events import Codec

pytestmark = pytest.mark.unit


def test_every_codec_is_a_decoder_of_libav():
    from av.codec import Codec as LibavCodec

    for codec in Codec:
        if codec is not Codec.samples:
            assert LibavCodec(codec.value, "r").is_decoder
