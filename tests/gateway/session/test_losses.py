"""Losses that wait for a session to begin: all are told once, and they are bounded."""

from __future__ import annotations

import pytest

from gateway.session.losses import UntoldLosses
from gateway.wire.messages import AudioLost

pytestmark = pytest.mark.unit


def test_what_was_kept_is_told_once_and_in_order() -> None:
    losses = UntoldLosses()
    assert losses.keep(AudioLost(0, 100))
    assert losses.keep(AudioLost(200, 300))
    assert losses.tell() == [AudioLost(0, 100), AudioLost(200, 300)]
    assert losses.tell() == []


def test_losses_that_touch_are_one() -> None:
    losses = UntoldLosses()
    for start_ms in range(0, 100_000, 100):
        assert losses.keep(AudioLost(start_ms, start_ms + 100))
    assert losses.tell() == [AudioLost(0, 100_000)]


def test_a_client_that_loses_something_ever_again_is_not_listened_to_for_ever() -> None:
    losses = UntoldLosses()
    kept = [losses.keep(AudioLost(start_ms, start_ms + 100)) for start_ms in range(0, 100_000, 200)]
    assert kept == [True] * 192 + [False] * 308
    assert len(losses.tell()) == 192
