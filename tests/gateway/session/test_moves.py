"""Planned moves: the next engine is there before the last one is let go, and the client hears no gap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engines.interface import (
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    PartialResult,
    Progress,
    RefusalReason,
    Refused,
)
from gateway.errors import Reason
from gateway.session.credit import QuotaUpdate
from gateway.session.effects import (
    CancelEngine,
    CancelStandby,
    CutEngine,
    EngineLost,
    EngineMoved,
    OpenEngine,
    OpenStandby,
    SendAudio,
    SendToClient,
    StandbyAudio,
    StandbyCut,
    SwitchToStandby,
)
from gateway.session.machine import SessionMachine
from gateway.session.quota import SessionQuota
from gateway.wire.messages import Ack, Migrated
from tests.fakes.quota import quota_rules
from tests.fakes.sessions import PCM_100_MS, final, granted, next_effects, streaming, told

pytestmark = pytest.mark.unit

DRAINING = MoveReason.engine_draining


def leaving(
    reason: MoveReason = DRAINING, within_ms: int = 5_000, *, audio: bytes = PCM_100_MS * 2, consumed: int = 1_600
) -> SessionMachine:
    """A session with some audio that its engine is partly through with; a standby is asked for at 20 ms."""
    machine = streaming()
    machine.client_audio(audio, 10)
    machine.engine_event(Progress(1, consumed, 5), 15)
    machine.engine_event(MoveAway(1, reason, within_ms), 20)
    return machine


def asked(effects: list[Any]) -> list[tuple[int, int, bool]]:
    """Epoch, start and kind of the standbys that are opened."""
    return [
        (effect.stream.epoch, effect.stream.start_sample, effect.stream.is_replay)
        for effect in effects
        if isinstance(effect, OpenStandby)
    ]


def test_a_standby_is_opened_at_the_last_commit_point_while_the_engine_works_on() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(final(0, 1_000, "yes"), 15)
    effects = machine.engine_event(MoveAway(1, DRAINING, 5_000), 20)
    assert asked(effects) == [(2, 1_000, True)]
    assert effects[0].stream.options.model_version == "v1"
    assert len(effects) == 1
    assert machine.client_audio(PCM_100_MS, 30) == [SendAudio(PCM_100_MS)]
    assert told(machine.engine_event(final(1_000, 2_000, "no"), 40))[0].text == "no"


def test_a_standby_hears_all_that_is_held_and_then_what_the_engine_hears() -> None:
    machine = leaving()
    assert machine.engine_event(granted(2), 30) == [StandbyAudio(PCM_100_MS * 2)]
    assert machine.client_audio(PCM_100_MS, 40) == [SendAudio(PCM_100_MS), StandbyAudio(PCM_100_MS)]
    assert machine.client_finalize("a", 50) == [CutEngine(4_800, is_last=False), StandbyCut(4_800, is_last=False)]
    assert machine.client_finish(60) == []
    assert machine.engine_event(Progress(2, 1_000, 5), 70) == []


def test_the_session_goes_over_without_a_pause_when_the_standby_has_caught_up() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30, "there")
    assert machine.engine_event(Progress(2, 1_599, 5), 60) == []
    assert machine.engine_event(Progress(2, 1_600, 5), 70) == [
        CancelEngine(),
        SwitchToStandby(),
        SendToClient(Migrated("engine_draining", 200, 0, "v1", "there")),
        EngineMoved(DRAINING, 200, 50),
    ]
    assert machine.engine_event(final(0, 1_600, "late"), 71) == []
    assert told(machine.engine_event(final(0, 2_000, "all", epoch=2), 80))[-1] == Ack(125, sample=2_000)


def test_the_region_of_the_engine_is_told_only_where_it_is_another_one() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30, "here")
    (migrated,) = told(machine.engine_event(Progress(2, 1_600, 5), 70))
    assert migrated.engine_region == ""


def test_a_session_with_nothing_held_goes_over_at_once_and_may_change_its_version() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(final(0, 1_600, "yes"), 15)
    effects = machine.engine_event(MoveAway(1, DRAINING, 5_000), 20)
    assert effects[0].stream.options.model_version == ""
    effects = machine.engine_event(granted(2, version="v2"), 30)
    assert effects[:2] == [CancelEngine(), SwitchToStandby()]
    assert machine.model_version == "v2"
    assert machine.client_audio(PCM_100_MS, 40) == [SendAudio(PCM_100_MS)]


def test_a_standby_of_another_version_does_not_hear_what_the_engine_heard() -> None:
    """Nothing was held when it was asked for; then audio came."""
    machine = streaming()
    machine.engine_event(MoveAway(1, DRAINING, 5_000), 20)
    machine.client_audio(PCM_100_MS, 25)
    assert machine.engine_event(granted(2, version="v2"), 30) == [CancelStandby()]
    assert next_effects(machine)[0].stream.options.model_version == "v1"


def test_finals_of_the_standby_that_the_client_has_are_dropped_by_their_place() -> None:
    machine = leaving(audio=PCM_100_MS * 3)
    machine.engine_event(granted(2), 30)
    machine.engine_event(final(0, 1_600, "yes"), 40)
    machine.engine_event(Progress(1, 4_000, 5), 41)
    assert machine.engine_event(final(0, 1_600, "yes", epoch=2), 50) == []
    assert machine.held_samples == 3_200
    effects = machine.engine_event(Progress(2, 4_000, 5), 60)
    assert effects[:2] == [CancelEngine(), SwitchToStandby()]
    assert told(machine.engine_event(final(1_600, 3_200, "no", epoch=2), 70))[0].text == "no"


def test_a_standby_that_ends_an_utterance_first_is_ahead_and_takes_over_with_it() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30)
    effects = machine.engine_event(final(0, 1_500, "yes", epoch=2), 40)
    assert effects[:2] == [CancelEngine(), SwitchToStandby()]
    assert [type(message).__name__ for message in told(effects)] == ["Migrated", "FinalMessage", "UtteranceEnd", "Ack"]
    assert machine.committed_sample == 1_500


@pytest.mark.parametrize("claim", [(0, 4_000), (100, 1_000), (0, 2_400)])
def test_a_standby_that_breaks_the_rules_costs_the_session_nothing(claim: tuple[int, int]) -> None:
    """Audio that it was not sent; a gap; an utterance across one that is final."""
    machine = leaving()
    machine.engine_event(granted(2), 30)
    machine.engine_event(final(0, 1_600, "yes"), 35)
    effects = machine.engine_event(final(*claim, "lie", epoch=2), 40)
    assert effects == [CancelStandby(LossReason.protocol_broken)]
    assert asked(next_effects(machine)) == [(3, 1_600, True)]
    assert machine.client_audio(PCM_100_MS, 200) == [SendAudio(PCM_100_MS)]


def test_partials_come_from_one_engine_at_a_time_and_never_go_back() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30)
    assert machine.engine_event(PartialResult(2, 0, 800, "one", 0), 40) == []
    assert told(machine.engine_event(PartialResult(1, 0, 1_600, "one two", 0), 41))[0].end_ms == 100
    machine.engine_event(Progress(2, 1_600, 5), 50)
    assert machine.engine_event(PartialResult(2, 0, 1_600, "one two", 0), 60) == []
    assert told(machine.engine_event(PartialResult(2, 0, 2_400, "one two three", 0), 61))[0].end_ms == 150


def test_a_refused_standby_is_asked_for_again_until_the_time_is_out_and_the_engine_is_kept() -> None:
    machine = leaving(within_ms=1_000)
    epoch, now_ms, asked_at_ms = 2, 25, [20]
    while True:
        machine.engine_event(Refused(epoch, RefusalReason.no_free_slot), now_ms)
        effects: list[Any] = []
        while not effects and now_ms < 1_020:
            now_ms = machine.due_ms
            effects = machine.timer(now_ms)
        if not effects:
            break
        ((epoch, _, _),) = asked(effects)
        asked_at_ms.append(now_ms)
    assert len(asked_at_ms) > 3
    pauses = [after - before for before, after in pairwise(asked_at_ms)]
    assert pauses == sorted(pauses)
    assert machine.client_audio(PCM_100_MS, 1_500) == [SendAudio(PCM_100_MS)]
    effects = machine.engine_event(Lost(1, LossReason.drained), 1_600)
    assert [type(effect) for effect in effects] == [EngineLost, OpenEngine]


def test_a_standby_that_has_not_caught_up_is_taken_at_the_deadline() -> None:
    machine = leaving(within_ms=1_000)
    machine.engine_event(granted(2), 30)
    machine.engine_event(Progress(2, 800, 5), 900)
    assert machine.due_ms <= 1_020
    effects = machine.timer(1_020)
    assert effects[:2] == [CancelEngine(), SwitchToStandby()]
    assert told(effects) == [Migrated("engine_draining", 200, 0, "v1")]


def test_a_standby_that_was_not_sent_what_is_final_already_is_not_taken() -> None:
    machine = leaving(within_ms=1_000)
    machine.engine_event(granted(2, window_samples=800), 30)
    machine.engine_event(final(0, 1_600, "yes"), 40)
    assert machine.timer(1_020) == [CancelStandby()]
    assert machine.client_audio(PCM_100_MS, 1_030) == [SendAudio(PCM_100_MS)]


def test_an_engine_that_dies_first_is_replaced_by_the_standby_at_once() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30)
    effects = machine.engine_event(Lost(1, LossReason.link_lost), 40)
    assert effects[:2] == [EngineLost(LossReason.link_lost, 0, 1), SwitchToStandby()]
    assert told(effects) == [Migrated("engine_draining", 200, 0, "v1")]
    assert told(machine.engine_event(final(0, 2_000, "all", epoch=2), 50))[0].text == "all"


def test_an_engine_that_dies_before_the_standby_is_granted_is_lost_as_any_other() -> None:
    machine = leaving()
    effects = machine.engine_event(Lost(1, LossReason.link_lost), 40)
    assert effects[0] == CancelStandby()
    assert [type(effect) for effect in effects[1:]] == [EngineLost, OpenEngine]
    assert machine.engine_event(granted(2), 50) == [], "the standby that was let go has no say"


def test_an_engine_that_goes_silent_during_a_move_is_left_for_the_standby() -> None:
    machine = leaving(consumed=100, within_ms=9_000)
    machine.engine_event(granted(2), 25)
    machine.engine_event(Progress(2, 99, 5), 1_900)
    effects = machine.timer(2_015)
    assert effects[0] == CancelEngine(LossReason.silent)
    assert SwitchToStandby() in effects


def test_a_standby_that_says_nothing_is_let_go_as_silent_and_another_is_sought() -> None:
    machine = leaving(within_ms=9_000)
    machine.engine_event(Progress(1, 3_200, 5), 1_000)
    assert machine.timer(2_020) == [CancelStandby(LossReason.silent)]
    assert asked(next_effects(machine)) == [(3, 0, True)]


def test_audio_that_kills_one_standby_after_the_other_is_tried_on_no_more() -> None:
    machine = leaving(within_ms=20_000)
    epochs = []
    for epoch in range(2, 12):
        epochs.append(epoch)
        machine.engine_event(Progress(1, 3_200, 0), 30 * epoch)
        machine.engine_event(granted(epoch), 30 * epoch)
        machine.engine_event(Lost(epoch, LossReason.engine_failed), 30 * epoch)
        effects = next_effects(machine)
        if not asked(effects):
            break
    assert epochs == [2, 3, 4, 5]
    assert told(effects)[-1].reason == "idle_timeout", "the engine was kept"


def test_a_standby_that_is_to_leave_too_is_given_up_for_another() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30)
    assert machine.engine_event(MoveAway(2, MoveReason.region_draining, 900), 40) == [CancelStandby()]
    assert asked(next_effects(machine)) == [(3, 0, True)]


def test_of_two_wishes_to_move_the_earlier_deadline_counts() -> None:
    machine = leaving(within_ms=5_000)
    assert machine.engine_event(MoveAway(1, MoveReason.operator, 500), 30) == []
    assert machine.engine_event(MoveAway(1, MoveReason.operator, 9_000), 31) == []
    assert machine.timer(530) == [CancelStandby()]


def test_a_session_without_an_engine_has_nothing_to_move() -> None:
    machine = leaving()
    machine.engine_event(Lost(1, LossReason.link_lost), 40)
    assert machine.engine_event(MoveAway(3, DRAINING, 5_000), 50) == []
    assert machine.engine_event(MoveAway(1, DRAINING, 5_000), 50) == []


def test_a_move_that_may_take_no_time_is_none() -> None:
    machine = streaming()
    assert machine.engine_event(MoveAway(1, DRAINING, 0), 20) == []


def test_a_region_that_is_not_permitted_any_more_is_left_at_the_deadline_whatever_comes() -> None:
    machine = leaving(MoveReason.outside_policy, within_ms=1_000)
    effects = machine.timer(1_020)
    assert [type(effect) for effect in effects] == [CancelStandby, CancelEngine, OpenEngine]
    assert told(machine.engine_event(granted(3), 1_100)) == [Migrated("outside_policy", 200, 80, "v1")]


def test_a_session_that_must_end_does_not_move() -> None:
    machine = leaving()
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 25)
    assert machine.end_after_utterance(Reason.draining, 30) == [CancelStandby()]
    assert machine.engine_event(MoveAway(1, DRAINING, 5_000), 40) == []
    assert told(machine.engine_event(final(0, 3_200, "so"), 50))[-1].reason == "draining"


def test_a_session_whose_client_has_finished_moves_and_finishes_elsewhere() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.client_finish(15)
    assert asked(machine.engine_event(MoveAway(1, DRAINING, 5_000), 20)) == [(2, 0, True)]
    effects = machine.engine_event(granted(2), 30)
    assert effects[:2] == [CancelEngine(), SwitchToStandby()]
    assert effects[-2:] == [SendAudio(PCM_100_MS * 2), CutEngine(3_200, is_last=True)]
    assert machine.engine_event(final(0, 3_200, "bye", epoch=2), 40)[-1].reason is Reason.finished


def test_a_finalize_during_a_move_is_confirmed_once_by_whoever_works_then() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30)
    machine.client_finalize("a", 40)
    machine.engine_event(Progress(2, 1_700, 5), 50)
    assert told(machine.engine_event(final(0, 3_200, "all", epoch=2), 60))[-1] == Ack(200, ("a",), 3_200)
    machine.client_audio(PCM_100_MS, 70)
    assert told(machine.engine_event(final(3_200, 4_800, "more", epoch=2), 80))[-1] == Ack(300, sample=4_800)


def test_a_cut_that_the_engine_has_answered_is_still_made_by_the_standby() -> None:
    machine = leaving()
    machine.engine_event(granted(2, window_samples=800), 30)
    machine.client_finalize("a", 40)
    assert told(machine.engine_event(final(0, 3_200, "all"), 50))[-1] == Ack(200, ("a",), 3_200)
    machine.client_audio(PCM_100_MS, 60)
    effects = machine.engine_event(Progress(2, 800, 5), 70)
    effects += machine.engine_event(Progress(2, 1_600, 5), 71)
    effects += machine.engine_event(Progress(2, 2_400, 5), 72)
    assert [effect for effect in effects if isinstance(effect, StandbyCut)] == [StandbyCut(3_200, is_last=False)]
    assert machine.engine_event(final(0, 3_200, "all", epoch=2), 80) != []
    assert machine.committed_sample == 3_200


def test_what_a_standby_spends_is_ours_until_the_switch_and_what_it_heard_is_charged_once() -> None:
    quota = SessionQuota(quota_rules(), QuotaUpdate(1_000_000), 0)
    machine = streaming(quota)
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(Progress(1, 1_600, 100), 15)
    machine.engine_event(MoveAway(1, DRAINING, 5_000), 20)
    machine.engine_event(granted(2), 30)
    machine.engine_event(Progress(2, 1_000, 70), 40)
    machine.engine_event(Progress(2, 2_000, 70), 50)
    used = machine.used_so_far()
    assert (used.compute_us, used.audio_ms, machine.compute_us) == (100, 125, 240)
    machine.engine_event(Progress(2, 3_200, 50), 60)
    used = machine.used_so_far()
    assert (used.compute_us, used.audio_ms, machine.compute_us) == (150, 200, 290)


def test_a_standby_gets_no_audio_that_is_not_paid_for() -> None:
    quota = SessionQuota(quota_rules(), QuotaUpdate(150_000), 0)
    machine = streaming(quota)
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(Progress(1, 800, 50_000), 15)
    machine.engine_event(MoveAway(1, DRAINING, 5_000), 20)
    assert machine.engine_event(granted(2), 30) == [StandbyAudio((PCM_100_MS * 2)[: 2_400 * 2])]
    assert machine.quota_update(QuotaUpdate(None), 40) == [
        SendAudio(PCM_100_MS[:1_600]),
        StandbyAudio(PCM_100_MS[:1_600]),
    ]


def test_a_standby_that_is_hopelessly_behind_begins_anew_nearer_to_the_end() -> None:
    """Or what is held for it would grow without a bound."""
    machine = leaving(within_ms=100_000)
    machine.engine_event(granted(2, window_samples=160), 30)
    effects: list[Any] = []
    for number in range(25):
        at = 3_200 + number * 1_600
        machine.client_audio(PCM_100_MS, 100 + number)
        effects += machine.engine_event(final(machine.committed_sample, at, "and", epoch=1), 100 + number)
        if CancelStandby() in effects:
            break
    assert CancelStandby() in effects
    assert asked(next_effects(machine)) == [(3, machine.committed_sample, True)]


def test_a_session_that_closes_lets_both_go() -> None:
    machine = leaving()
    machine.engine_event(granted(2), 30)
    effects = machine.client_gone()
    assert effects[:2] == [CancelEngine(), CancelStandby()]
    assert machine.engine_event(Progress(2, 3_200, 5), 40) == []
