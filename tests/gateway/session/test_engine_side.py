"""A session's engine: told why it is let go, asked for again in turn, and left when it is slow."""

from __future__ import annotations

from typing import Any

import pytest

from engines.interface import LossReason, Lost, MoveReason, Progress, RefusalReason, Refused
from gateway.errors import Reason
from gateway.session.effects import (
    CancelEngine,
    CancelStandby,
    CloseClient,
    EngineMoved,
    OpenEngine,
    OpenStandby,
    SwitchToStandby,
)
from gateway.session.machine import SessionMachine
from tests.fakes.sessions import PCM_100_MS, begun, final, granted, next_effects, streaming, told

pytestmark = pytest.mark.unit


def speak(machine: SessionMachine, from_ms: int, until_ms: int, *, pace_permille: int, epoch: int = 1) -> list[Any]:
    """Real-time speech from its beginning, and an engine that works at so much of real time; stops at an effect of
    time.
    """
    for now_ms in range(from_ms, until_ms, 100):
        machine.client_audio(PCM_100_MS, now_ms)
        through = min((now_ms + 100) * 16, (now_ms + 100 - from_ms) * 16 * pace_permille // 1_000)
        machine.engine_event(Progress(epoch, through, 5), now_ms + 50)
        if machine.due_ms <= now_ms + 90 and (effects := machine.timer(now_ms + 90)):
            return effects
    return []


def test_an_engine_that_falls_behind_is_left_for_another_and_told_why() -> None:
    machine = streaming()
    effects = speak(machine, 0, 900, pace_permille=500)
    assert effects == [], "too early to say"
    machine = streaming()
    effects = speak(machine, 0, 4_000, pace_permille=500)
    assert [type(effect) for effect in effects] == [OpenStandby]
    machine.engine_event(granted(2), 4_100, "there")
    effects = machine.engine_event(Progress(2, 40_000, 5), 4_200)
    assert effects[:2] == [CancelEngine(LossReason.slow), SwitchToStandby()]
    assert told(effects)[0].reason == "engine_slow"
    assert any(isinstance(effect, EngineMoved) and effect.reason is MoveReason.engine_slow for effect in effects)


def test_an_engine_that_takes_all_audio_and_ends_no_utterance_is_silent() -> None:
    """The session is full and reads no more, so that nothing else would ever happen to it."""
    machine = streaming()
    while machine.is_reading:
        machine.client_audio(PCM_100_MS, 0)
        machine.engine_event(Progress(1, machine.end_sample, 5), 0)
    effects = next_effects(machine)
    assert CancelEngine(LossReason.silent) in effects
    assert any(isinstance(effect, OpenEngine) for effect in effects)


@pytest.mark.parametrize("pace_permille", [1_000, 2_000])
def test_an_engine_that_keeps_up_is_never_left(pace_permille: int) -> None:
    machine = streaming()
    assert speak(machine, 0, 900, pace_permille=pace_permille) == []


def test_a_flood_is_the_clients_and_no_slow_engine() -> None:
    machine = streaming()
    for now_ms in range(0, 9_000, 100):
        room = machine.room_samples
        if machine.is_reading and room > 3_200:
            machine.client_audio(PCM_100_MS * 2, now_ms)
        machine.engine_event(Progress(1, min(machine.end_sample, (now_ms + 100) * 16), 5), now_ms + 50)
        if now_ms % 500 == 0 and now_ms:
            machine.engine_event(final(machine.committed_sample, min(machine.end_sample, now_ms * 16)), now_ms + 51)
        assert machine.timer(now_ms + 90) == []


def test_a_slow_engine_is_kept_where_there_is_no_other_and_looked_at_again_after_a_rest() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 9, 0)
    tries = []
    for now_ms in range(0, 29_000, 100):
        machine.engine_event(Progress(1, now_ms // 10, 5), now_ms)
        machine.client_keepalive(now_ms)
        for effect in machine.timer(now_ms + 50):
            assert not isinstance(effect, CancelEngine)
            if isinstance(effect, OpenStandby):
                tries.append(now_ms)
                machine.engine_event(Refused(effect.stream.epoch, RefusalReason.no_free_slot), now_ms + 60)
    assert tries[0] < 2_000
    assert all(at_ms < tries[0] + 3_000 or at_ms > tries[0] + 20_000 for at_ms in tries)
    assert tries[-1] > tries[0] + 20_000
    assert not machine.is_closed


def test_a_session_that_must_end_does_not_leave_a_slow_engine() -> None:
    machine = streaming()
    speak(machine, 0, 3_000, pace_permille=500)
    effects = machine.end_after_utterance(Reason.draining, 3_000)
    assert not any(isinstance(effect, OpenStandby) for effect in effects)
    assert effects[0] == CancelStandby()


def test_a_pace_that_is_set_for_all_costs_a_session_its_turn_and_no_more() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 100)
    now_ms, waits = 100, []
    for epoch in range(2, 7):
        machine.engine_event(Refused(epoch, RefusalReason.paced, 80), now_ms)
        before_ms, effects = now_ms, []
        while not effects:
            now_ms = machine.due_ms
            effects = machine.timer(now_ms)
        assert isinstance(effects[0], OpenEngine)
        waits.append(now_ms - before_ms)
    assert waits == [80] * 5
    machine.engine_event(Refused(7, RefusalReason.no_free_slot, 500), now_ms)
    next_effects(machine)
    assert machine.engine_event(granted(8), now_ms + 60) != []


def test_a_new_session_that_never_got_its_turn_is_told_that_there_is_no_capacity() -> None:
    machine = begun()
    epoch, effects = 1, []
    while not machine.is_closed:
        effects = machine.engine_event(Refused(epoch, RefusalReason.paced, 400), machine.due_ms if epoch > 1 else 0)
        effects += next_effects(machine)
        epoch += 1
    assert effects[-1] == CloseClient(Reason.no_capacity)
    assert told(effects)[-1].retry_after_ms == 400
