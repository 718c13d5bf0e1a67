"""A standby hears what the engine hears, holds no more than it needs, and is taken only where it can go on."""

from __future__ import annotations

import pytest

from engines.interface import FinalResult
from gateway.session.effects import StandbyAudio, StandbyCut
from gateway.session.replay_buffer import ReplayBuffer
from gateway.session.standby import Standby
from gateway.session.upstream import Cut, Upstream
from tests.fakes.sessions import LIMITS, final, granted

pytestmark = pytest.mark.unit

UNLIMITED = 1 << 62


def make(num_samples: int = 4_000, *, window_samples: int = 80_000) -> Standby:
    """Granted at 10 ms; the engine was sent all of the audio."""
    buffer = ReplayBuffer()
    buffer.append(bytes(2 * num_samples))
    buffer.take_unsent(num_samples)
    upstream = Upstream(buffer, least_samples=1)
    upstream.add_cut(Cut(num_samples, 0, ["a"]))
    fork = buffer.fork()
    standby = Standby(upstream.fork(fork), fork, LIMITS, epoch=2, now_ms=0)
    standby.granted(granted(2, window_samples), "there")
    return standby


def test_it_is_sent_what_is_held_with_the_cuts_in_it() -> None:
    assert make().pump(UNLIMITED, 10) == [StandbyAudio(bytes(8_000)), StandbyCut(4_000, is_last=False)]


def test_what_is_final_is_held_only_until_it_was_sent() -> None:
    standby = make(window_samples=1_000)
    standby.pump(UNLIMITED, 10)
    standby.keep_from(3_000)
    assert (standby.buffer.start_sample, standby.buffer.held_samples) == (1_000, 3_000)
    standby.upstream.consumed(1_000)
    standby.pump(UNLIMITED, 20)
    standby.keep_from(3_000)
    assert standby.buffer.start_sample == 2_000


def test_it_is_ready_when_what_it_was_not_sent_is_held_anyway() -> None:
    standby = make(window_samples=1_000)
    assert not standby.is_ready(1)
    standby.pump(UNLIMITED, 10)
    assert standby.is_ready(1_000)
    assert not standby.is_ready(1_001)


def test_it_has_caught_up_where_the_engine_is_or_where_nothing_is_left() -> None:
    standby = make()
    standby.pump(UNLIMITED, 10)
    assert not standby.has_caught_up(0, 500)
    assert standby.has_caught_up(4_000, 4_000)
    standby.upstream.consumed(500)
    assert standby.has_caught_up(0, 500)


@pytest.mark.parametrize(
    ("event", "is_admitted"),
    [
        (final(0, 1_000), True),
        (final(0, 2_000), False),
        (final(1, 1_000), False),
        (final(0, 4_001), False),
    ],
)
def test_its_finals_follow_one_another_and_end_where_the_engines_did(event: FinalResult, is_admitted: bool) -> None:
    """All before 1,000 is final."""
    standby = make()
    standby.pump(UNLIMITED, 10)
    assert standby.admits_final(event, 1_000) is is_admitted


def test_the_final_after_those_that_the_client_has_begins_at_the_commit_point() -> None:
    standby = make()
    standby.pump(UNLIMITED, 10)
    standby.final(final(0, 1_000))
    assert standby.admits_final(final(1_000, 2_000), 1_000)


def test_it_has_its_time_to_answer() -> None:
    standby = make()
    assert standby.silent_at_ms is None
    standby.pump(UNLIMITED, 10)
    assert standby.silent_at_ms == 2_010
    standby.said_something()
    standby.pump(UNLIMITED, 50)
    assert standby.silent_at_ms == 2_050
