"""A planned move looks for a standby until its time is out: ever later, never at once, not for ever."""

from __future__ import annotations

import pytest

from engines.interface import MoveReason, RefusalReason, Refused
from gateway.session.handover import Handover
from gateway.session.replay_buffer import ReplayBuffer
from gateway.session.search import NEVER_MS
from gateway.session.standby import Standby
from gateway.session.upstream import Upstream
from tests.fakes.sessions import LIMITS

pytestmark = pytest.mark.unit


def make() -> Handover:
    return Handover(MoveReason.operator, LIMITS, until_ms=5_000, now_ms=0, jitter_permille=0)


def ask(handover: Handover, now_ms: int) -> None:
    buffer = ReplayBuffer()
    handover.asked(Standby(Upstream(buffer, least_samples=1), buffer, LIMITS, epoch=2, now_ms=now_ms), now_ms)


def test_while_a_standby_is_there_no_other_is_looked_for() -> None:
    handover = make()
    ask(handover, 0)
    assert handover.ask_at_ms == NEVER_MS
    assert handover.next_ms == LIMITS.liveness_ms


def test_pauses_between_tries_grow() -> None:
    handover, pauses = make(), []
    for _ in range(4):
        ask(handover, 0)
        handover.refused(Refused(2, RefusalReason.no_free_slot), 0)
        pauses.append(handover.ask_at_ms)
    assert pauses == [50, 100, 200, 400]


def test_a_turn_that_was_given_is_waited_for_and_is_no_failure() -> None:
    handover = make()
    for _ in range(3):
        ask(handover, 100)
        handover.refused(Refused(2, RefusalReason.paced, 120), 100)
        assert handover.ask_at_ms == 220


def test_the_deadline_is_never_slept_over() -> None:
    handover = make()
    ask(handover, 4_990)
    handover.missed(4_990)
    assert handover.next_ms == 5_000


def test_after_too_many_lost_standbys_none_is_asked_for() -> None:
    handover = make()
    for _ in range(LIMITS.recovery.max_losses + 1):
        assert handover.ask_at_ms == NEVER_MS or handover.standby is None
        ask(handover, 0)
        handover.lost(0)
    assert handover.ask_at_ms == NEVER_MS
    assert not handover.is_ready(0)
