"""The defaults of what a listener allows hang together."""

from __future__ import annotations

import pytest

from tests.harness.raw_quic import quic_rules

pytestmark = pytest.mark.unit


def test_the_defaults_fit_together() -> None:
    rules = quic_rules()
    assert rules.retry_above_handshakes <= rules.max_handshakes_per_address <= rules.max_handshakes
    assert rules.stream_window_bytes < rules.connection_window_bytes  # a full stream leaves room for another
    assert rules.ack_delay_ms < 25  # what clients are told
    assert 1_200 <= rules.max_datagram_bytes <= 1_280 - 48  # IPv6 and UDP in its smallest MTU
    assert rules.idle_timeout_ms >= 20_000  # Chromium keeps connections alive from here on
