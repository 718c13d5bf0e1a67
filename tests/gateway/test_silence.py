"""Silence is counted by whoever listens."""

from __future__ import annotations

from gateway.silence import Silence


def test_it_is_too_long_after_so_many_ticks_until_something_is_heard() -> None:
    silence = Silence(3)
    assert [silence.tick() for _ in range(4)] == [False, False, True, True]
    silence.heard()
    assert [silence.tick() for _ in range(3)] == [False, False, True]


def test_whoever_speaks_now_and_then_is_never_silent() -> None:
    silence = Silence(2)
    for _ in range(5):
        assert not silence.tick()
        silence.heard()
