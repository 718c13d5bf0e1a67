from __future__ import annotations

import pytest

from gateway.wire import stream_messages
from gateway.wire.stream_messages import AUDIO, MARK, TEXT, encode

pytestmark = pytest.mark.unit


def test_a_message_is_its_kind_its_length_and_its_bytes() -> None:
    assert encode(TEXT, b'{"type":"finish"}') == b'\x01\x00\x00\x11{"type":"finish"}'
    assert encode(AUDIO, bytes(3_200)) == b"\x02\x00\x0c\x80" + bytes(3_200)
    assert encode(MARK, b"") == b"\x03\x00\x00\x00"


def test_the_longest_message_is_what_three_bytes_can_say() -> None:
    assert encode(AUDIO, bytes(stream_messages.MAX_PAYLOAD_BYTES))[:4] == b"\x02\xff\xff\xff"
    with pytest.raises(ValueError, match="16777216 bytes"):
        encode(AUDIO, bytes(stream_messages.MAX_PAYLOAD_BYTES + 1))
