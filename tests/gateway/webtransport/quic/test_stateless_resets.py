"""Stateless resets: the same everywhere, always smaller than what they answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.quic.stateless_resets import StatelessResets

pytestmark = pytest.mark.unit
SECRET = b"sixteen bytes or more"


@given(st.binary(min_size=1, max_size=20))
def test_the_token_follows_from_the_secret_alone(connection_id: bytes) -> None:
    token = StatelessResets(SECRET).token(connection_id)
    assert len(token) == 16
    assert token == StatelessResets(SECRET).token(connection_id) != StatelessResets(b"another").token(connection_id)


@given(st.integers(0, 3_000), st.binary(min_size=32, max_size=32))
def test_two_ends_that_answer_each_other_fall_silent(received_bytes: int, random: bytes) -> None:
    resets = StatelessResets(SECRET)
    answers = 0
    while (packet := resets.packet(b"id", received_bytes=received_bytes, random=random)) is not None:
        assert len(packet) < received_bytes
        assert packet[0] & 0xC0 == 0x40
        assert packet.endswith(resets.token(b"id"))
        received_bytes = len(packet)
        answers += 1
    assert answers <= 21
