"""The session machine: what a client is promised, whatever happens to engines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    OpenStream,
    PartialResult,
    Progress,
    RefusalReason,
    Refused,
    SpeechStarted,
    StreamOptions,
    Word,
)
from gateway.errors import Reason
from gateway.session.credit import QuotaUpdate
from gateway.session.effects import (
    CancelEngine,
    CloseClient,
    CutEngine,
    EngineLost,
    Figure,
    Measured,
    OpenEngine,
    PauseClient,
    ResumeClient,
    SendAudio,
    SendToClient,
)
from gateway.session.identity import SessionIdentity
from gateway.session.limits import SessionLimits
from gateway.session.machine import SessionMachine
from gateway.session.origin import SessionOrigin
from gateway.session.quota import SessionQuota
from gateway.session.slowness import SlownessLimits
from gateway.wire.messages import (
    PROTOCOL_VERSION,
    Ack,
    AudioLost,
    ErrorMessage,
    FinalMessage,
    Finished,
    Migrated,
    PartialMessage,
    SpeechStartedMessage,
    Started,
    Usage,
    UtteranceEnd,
    WordMessage,
)
from policies.backpressure import HoldingLimits
from policies.failover import RecoveryLimits
from policies.plans import Level, WhenExhausted
from tests.fakes.quota import quota_rules, unlimited_quota

pytestmark = pytest.mark.unit

LIMITS = SessionLimits(
    idle_ms=30_000,
    session_ms=1_000_000,
    ending_grace_ms=5_000,
    liveness_ms=2_000,
    stall_samples=1_600,
    opening_ms=3_000,
    least_audio_samples=1,
    pending_cuts=3,
    holding=HoldingLimits(low_water_samples=8_000, high_water_samples=16_000, capacity_samples=32_000),
    recovery=RecoveryLimits(first_delay_ms=100, max_delay_ms=1_000, timeout_ms=10_000, max_losses=3),
    slowness=SlownessLimits(after_ms=2_000, move_within_ms=3_000, rest_ms=20_000),
)
OPTIONS = StreamOptions(model="m")
PCM_100_MS = b"\x01\x00" * 1_600


def make(
    now_ms: int = 0,
    *,
    expires_at_ms: int = 10_000_000,
    options: StreamOptions = OPTIONS,
    quota: SessionQuota | None = None,
    resume_token: str = "",
) -> SessionMachine:
    identity = SessionIdentity(
        session_id="s",
        tenant="t",
        region="here",
        options=options,
        expires_at_ms=expires_at_ms,
        jitter_permille=0,
        resume_token=resume_token,
    )
    return SessionMachine(identity, LIMITS, quota or unlimited_quota(now_ms), now_ms)


def stream(epoch: int, start_sample: int = 0, *, version: str = "", is_replay: bool = True) -> OpenStream:
    options = msgspec.structs.replace(OPTIONS, model_version=version)
    return OpenStream(
        session_id="s", tenant="t", epoch=epoch, start_sample=start_sample, options=options, is_replay=is_replay
    )


def opening(epoch: int, start_sample: int = 0, *, version: str = "", is_replay: bool | None = None) -> OpenEngine:
    """Here the first one is of a new session, and all others are of one under way, where nothing else is said."""
    is_under_way = epoch > 1 if is_replay is None else is_replay
    return OpenEngine(stream(epoch, start_sample, version=version, is_replay=is_under_way))


def granted(epoch: int = 1, window_samples: int = 80_000, *, version: str = "v1") -> Granted:
    return Granted(epoch, "m", version, window_samples)


def final(
    start: int, end: int, *words: str, epoch: int = 1, reason: EndReason = EndReason.pause_after_speech
) -> FinalResult:
    spoken = tuple(Word(text, start + 160 * i, start + 160 * (i + 1), 0.9) for i, text in enumerate(words))
    return FinalResult(epoch, start, end, " ".join(words), spoken, reason)


def streaming(**more: Any) -> SessionMachine:
    """A machine with its engine granted at 0 ms."""
    machine = make(**more)
    machine.begin(0)
    machine.engine_event(granted(), 0)
    return machine


def next_effects(machine: SessionMachine) -> list[Any]:
    """What time alone brings."""
    while not (effects := machine.timer(machine.due_ms)):
        pass
    return effects


def sent_to_client(effects: list[Any]) -> list[Any]:
    return [effect.message for effect in effects if isinstance(effect, SendToClient)]


def test_a_session_opens_an_engine_and_tells_the_client_when_it_has_one() -> None:
    machine = make()
    assert machine.begin(0) == [opening(1)]
    assert machine.engine_event(granted(), 7) == [
        SendToClient(
            Started(session_id="s", model="m", model_version="v1", region="here", protocol_version=PROTOCOL_VERSION)
        ),
        Measured(Figure.open_elapsed_ms, 7),
    ]


def test_audio_that_comes_before_the_engine_is_held_and_sent_in_one_piece() -> None:
    machine = make()
    machine.begin(0)
    assert machine.client_audio(PCM_100_MS, 1) == []
    assert machine.client_audio(PCM_100_MS, 2) == []
    assert machine.engine_event(granted(), 3)[-1] == SendAudio(PCM_100_MS * 2)


def test_audio_runs_ahead_of_the_engine_by_its_window_and_no_further() -> None:
    machine = make()
    machine.begin(0)
    machine.engine_event(granted(window_samples=2_400), 0)
    assert machine.client_audio(PCM_100_MS, 1) == [SendAudio(PCM_100_MS)]
    assert machine.client_audio(PCM_100_MS, 2) == [SendAudio(PCM_100_MS[:1_600])]
    assert machine.client_audio(PCM_100_MS, 3) == []
    assert machine.engine_event(Progress(1, 1_600, 0), 4) == [SendAudio(PCM_100_MS)]


def test_a_final_is_told_once_acknowledged_and_its_audio_let_go() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    assert machine.engine_event(final(0, 1_600, "yes"), 90) == [
        SendToClient(FinalMessage("yes", 0, 10, (WordMessage("yes", 0, 10, 0.9),))),
        SendToClient(UtteranceEnd(100, "pause_after_speech")),
        Measured(Figure.first_partial_elapsed_ms, 80),
        SendToClient(Ack(100, sample=1_600)),
    ]
    assert machine.held_samples == 0
    assert machine.engine_event(final(0, 1_600, "yes"), 91) == []


def test_silence_that_is_done_with_is_acknowledged_without_a_final() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    effects = machine.engine_event(final(0, 1_600, reason=EndReason.silence_without_speech), 90)
    assert effects == [SendToClient(Ack(100, sample=1_600))]


def test_unfinalised_audio_is_replayed_to_the_next_engine() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.client_audio(PCM_100_MS, 20)
    machine.engine_event(final(0, 1_000, "yes"), 30)
    assert machine.engine_event(Lost(1, LossReason.link_lost), 40) == [
        EngineLost(LossReason.link_lost, to_replay_ms=137, losses=1),
        opening(2, start_sample=1_000, version="v1"),
    ]
    assert machine.engine_event(granted(epoch=2), 90) == [
        SendToClient(Migrated("link_lost", 137, 50, "v1")),
        Measured(Figure.migration_pause_elapsed_ms, 50),
        SendAudio((PCM_100_MS * 2)[2_000:]),
    ]


def test_what_a_lost_engine_still_says_is_not_heard() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 20)
    assert machine.engine_event(final(0, 1_600, "old"), 30) == []
    machine.engine_event(granted(epoch=2), 40)
    assert machine.engine_event(final(0, 1_600, "old"), 50) == []
    assert sent_to_client(machine.engine_event(final(0, 1_600, "new", epoch=2), 60))[0].text == "new"


def test_a_replay_shows_no_partial_that_the_client_has_seen_already() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 3, 10)
    shown = machine.engine_event(PartialResult(1, 0, 3_200, "one two", 4), 20)
    assert sent_to_client(shown) == [PartialMessage("one two", 0, 200, 4)]
    assert sent_to_client(machine.engine_event(SpeechStarted(1, 160), 21)) == [SpeechStartedMessage(10)]
    machine.engine_event(Lost(1, LossReason.link_lost), 30)
    machine.engine_event(granted(epoch=2), 40)
    assert machine.engine_event(SpeechStarted(2, 160), 41) == []
    assert machine.engine_event(PartialResult(2, 0, 1_600, "one", 0), 50) == []
    assert machine.engine_event(PartialResult(2, 0, 3_200, "one two", 4), 60) == []
    assert sent_to_client(machine.engine_event(PartialResult(2, 0, 4_800, "one two three", 8), 70)) == [
        PartialMessage("one two three", 0, 300, 8)
    ]


def test_an_engine_that_takes_audio_and_says_nothing_is_lost() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 2, 100)
    assert machine.timer(2_099) == []
    assert machine.due_ms == 2_100
    assert machine.timer(2_100) == [
        CancelEngine(LossReason.silent),
        EngineLost(LossReason.silent, to_replay_ms=200, losses=1),
        opening(2, version="v1"),
    ]


def test_an_engine_that_owes_nothing_is_never_called_silent() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 100)
    for now_ms in range(0, 29_000, 500):
        assert machine.timer(now_ms) == []


def test_an_idle_engine_has_its_full_time_when_work_comes() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 0)
    machine.engine_event(Progress(1, 1_600, 0), 10)
    machine.client_finalize("a", 20_000)
    assert machine.timer(20_001) == []
    assert machine.timer(22_000)[0] == CancelEngine(LossReason.silent)


def test_a_living_engine_is_not_lost_however_long_its_work_lasts() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 8, 0)
    for step in range(1, 8):
        machine.engine_event(Progress(1, step * 160, 5), step * 1_900)
        effects = machine.timer(step * 1_900 + 1_899)
        assert not any(isinstance(effect, CancelEngine | OpenEngine) for effect in effects)


def test_finalize_is_confirmed_by_an_ack_with_its_name_when_all_earlier_audio_is_final() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    assert machine.client_finalize("a", 20) == [CutEngine(1_600, is_last=False)]
    machine.client_audio(PCM_100_MS, 30)
    assert machine.client_finalize("b", 40) == [CutEngine(3_200, is_last=False)]
    effects = machine.engine_event(final(0, 1_600, reason=EndReason.finalize), 70)
    assert effects == [SendToClient(Ack(100, ("a",), 1_600)), Measured(Figure.finalisation_elapsed_ms, 50)]
    effects = machine.engine_event(final(1_600, 3_200, reason=EndReason.finalize), 90)
    assert sent_to_client(effects) == [Ack(200, ("b",), 3_200)]


def test_finalize_with_nothing_left_to_do_is_confirmed_at_once() -> None:
    machine = streaming()
    assert machine.client_finalize("a", 5) == [SendToClient(Ack(0, ("a",)))]


def test_a_finalize_waits_for_the_audio_before_it_to_be_sent() -> None:
    machine = make()
    machine.begin(0)
    machine.engine_event(granted(window_samples=1_600), 0)
    machine.client_audio(PCM_100_MS * 2, 10)
    assert machine.client_finalize("a", 20) == []
    assert machine.engine_event(Progress(1, 1_600, 0), 30) == [SendAudio(PCM_100_MS), CutEngine(3_200, is_last=False)]


def test_a_finalize_survives_the_loss_of_its_engine() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.client_finalize("a", 20)
    machine.client_audio(PCM_100_MS, 30)
    machine.engine_event(Lost(1, LossReason.link_lost), 40)
    effects = machine.engine_event(granted(epoch=2), 50)
    assert effects[2:] == [SendAudio(PCM_100_MS), CutEngine(1_600, is_last=False), SendAudio(PCM_100_MS)]


def test_more_finalizes_than_may_wait_are_the_clients_fault() -> None:
    machine = streaming()
    for name in "abc":
        machine.client_audio(b"\x00\x00", 1)
        machine.client_finalize(name, 1)
    effects = machine.client_finalize("d", 2)
    assert effects[0] == CancelEngine()
    assert effects[-1] == CloseClient(Reason.unexpected_message)


def test_finish_flushes_and_ends_the_session() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Progress(1, 800, 1_234), 15)
    assert machine.client_finish(20) == [CutEngine(1_600, is_last=True)]
    effects = machine.engine_event(final(0, 1_600, "bye", reason=EndReason.finish), 30)
    assert effects[-4:] == [
        CancelEngine(),
        SendToClient(Usage(100, 1_234)),
        SendToClient(Finished(100)),
        CloseClient(Reason.finished),
    ]
    assert machine.is_closed


def test_finish_without_audio_ends_at_once() -> None:
    machine = streaming()
    assert machine.client_finish(5) == [
        CancelEngine(),
        SendToClient(Usage(0, 0)),
        SendToClient(Finished(0)),
        CloseClient(Reason.finished),
    ]


def test_finish_before_the_engine_is_there_waits_for_it() -> None:
    machine = make()
    machine.begin(0)
    machine.client_audio(PCM_100_MS, 1)
    assert machine.client_finish(2) == []
    assert machine.engine_event(granted(), 3)[-2:] == [SendAudio(PCM_100_MS), CutEngine(1_600, is_last=True)]


def test_a_finish_where_a_finalize_is_under_way_is_confirmed_by_the_same_final() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.client_finalize("a", 20)
    assert machine.client_finish(21) == []
    effects = machine.engine_event(final(0, 1_600, reason=EndReason.finalize), 30)
    assert sent_to_client(effects)[0] == Ack(100, ("a",), 1_600)
    assert effects[-1] == CloseClient(Reason.finished)


def test_a_client_that_floods_is_held_back_before_the_capacity_is_reached() -> None:
    machine = streaming()
    effects: list[Any] = []
    while machine.is_reading:
        effects = machine.client_audio(PCM_100_MS, 1)
    assert effects[-1] == PauseClient()
    assert machine.held_samples == 16_000
    assert machine.timer(100_000_000)[-1] != CloseClient(Reason.idle_timeout)


def test_reading_goes_on_when_enough_is_final() -> None:
    machine = streaming()
    for _ in range(10):
        machine.client_audio(PCM_100_MS, 1)
    assert ResumeClient() not in machine.engine_event(final(0, 1_600), 2)
    assert ResumeClient() in machine.engine_event(final(1_600, 8_000), 3)


def test_audio_beyond_the_room_is_a_fault_of_the_shell() -> None:
    machine = streaming()
    with pytest.raises(ValueError, match="room"):
        machine.client_audio(b"\x00\x00" * 32_001, 1)


def test_audio_that_was_lost_is_told_on_the_session_s_clock() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 0)
    assert machine.client_lost(1_600, 3_209, 0) == [SendToClient(AudioLost(100, 201))]
    assert machine.client_lost(3_216, 3_216, 0) == []


def test_audio_that_was_lost_before_an_engine_is_there_is_told_behind_started() -> None:
    machine = make()
    machine.begin(0)
    assert machine.client_lost(0, 800, 0) == []
    machine.client_audio(bytes(1_600), 0)
    assert machine.client_lost(1_600, 3_200, 0) == []
    told = sent_to_client(machine.engine_event(granted(), 10))
    assert [type(message) for message in told[:1]] == [Started]
    assert told[1:3] == [AudioLost(0, 50), AudioLost(100, 200)]
    assert AudioLost(0, 50) not in sent_to_client(machine.engine_event(Lost(1, LossReason.silent), 20))


def test_gaps_that_touch_are_one_until_they_are_told() -> None:
    """A long loss comes in pieces of a minute at most, and a piece may be a single sample."""
    machine = make()
    machine.begin(0)
    for number in range(500):
        assert machine.client_lost(number, number + 1, 0) == []
    assert machine.client_lost(16_000, 32_000, 0) == []
    assert machine.client_lost(32_000, 992_000, 0) == []
    told = sent_to_client(machine.engine_event(granted(), 10))
    assert told[1:] == [AudioLost(0, 32), AudioLost(1_000, 62_000)]


def test_a_session_that_begins_with_nothing_but_gaps_is_ended() -> None:
    machine = make()
    machine.begin(0)
    effects: list[Any] = []
    for number in range(193):
        assert not effects
        effects = machine.client_lost(320 * number, 320 * number + 160, 0)
    assert effects[-1] == CloseClient(Reason.client_too_slow)


def test_nothing_is_told_of_audio_that_was_final_elsewhere() -> None:
    origin = SessionOrigin(is_resumed=True, start_sample=1_600, epoch=3)
    identity = SessionIdentity("s", "t", "here", OPTIONS, 10_000_000, 0, resume_token="secret", origin=origin)
    machine = SessionMachine(identity, LIMITS, unlimited_quota(0), 0)
    machine.begin(0)
    machine.engine_event(granted(4), 0)
    assert machine.client_lost(0, 1_600, 0) == []
    assert machine.client_lost(800, 1_760, 0) == [SendToClient(AudioLost(100, 110))]


def test_a_gap_shows_that_the_client_is_there_and_means_nothing_once_it_has_finished() -> None:
    machine = streaming()
    machine.client_lost(0, 160, 29_000)
    machine.client_audio(PCM_100_MS, 29_000)
    assert machine.timer(30_000) == []
    machine.client_finish(30_000)
    assert machine.client_lost(1_600, 3_200, 30_000) == []


def test_an_idle_client_is_told_so_and_a_keepalive_prevents_it() -> None:
    machine = streaming()
    machine.client_keepalive(20_000)
    assert machine.timer(49_999) == []
    effects = machine.timer(50_000)
    assert effects[1].message.reason == "idle_timeout"
    assert effects[-1] == CloseClient(Reason.idle_timeout)


def test_no_free_slot_is_asked_for_again_and_refused_in_the_end() -> None:
    machine = make()
    machine.begin(0)
    assert machine.engine_event(Refused(1, RefusalReason.no_free_slot), 10) == []
    assert machine.timer(60) == [opening(2, is_replay=False)]
    machine.engine_event(Refused(2, RefusalReason.no_free_slot, 700), 70)
    machine.engine_event(Refused(3, RefusalReason.no_free_slot, 700), 70)
    machine.timer(2_000)
    machine.engine_event(Refused(3, RefusalReason.no_free_slot, 700), 2_001)
    assert machine.due_ms <= 3_000
    assert machine.timer(3_000) == [
        SendToClient(
            ErrorMessage(reason="no_capacity", message="No engine has a free slot.", retryable=True, retry_after_ms=700)
        ),
        CloseClient(Reason.no_capacity),
    ]


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (RefusalReason.unknown_model, Reason.unknown_model),
        (RefusalReason.unsupported_language, Reason.unsupported_language),
        (RefusalReason.bad_options, Reason.bad_option),
    ],
)
def test_what_no_engine_can_give_is_refused_at_once(refusal: RefusalReason, reason: Reason) -> None:
    machine = make()
    machine.begin(0)
    assert machine.engine_event(Refused(1, refusal), 1)[-1] == CloseClient(reason)


@pytest.mark.parametrize(
    "refusal", [RefusalReason.unknown_model, RefusalReason.unsupported_language, RefusalReason.bad_options]
)
def test_what_an_engine_says_was_expected_reaches_the_client(refusal: RefusalReason) -> None:
    machine = make()
    machine.begin(0)
    effects = machine.engine_event(Refused(1, refusal, detail="beam is not for this model"), 1)
    assert sent_to_client(effects)[0].message == "beam is not for this model"


def test_held_audio_is_replayed_to_the_version_that_may_have_heard_it() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    assert machine.engine_event(Lost(1, LossReason.link_lost), 20)[1:] == [opening(2, version="v1")]
    machine.engine_event(Lost(2, LossReason.link_lost), 21)
    assert next_effects(machine) == [opening(3, version="v1")]


def test_a_version_that_is_nowhere_is_looked_for_until_the_recovery_s_time_is_out() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 100)
    epoch, now_ms, asked = 2, 100, 1
    while not machine.is_closed:
        effects = machine.engine_event(Refused(epoch, RefusalReason.unknown_model), now_ms)
        assert effects == []
        now_ms = machine.due_ms
        effects = machine.timer(now_ms)
        if opening(epoch + 1, version="v1") in effects:
            epoch, asked = epoch + 1, asked + 1
    assert now_ms == 10_100
    assert asked > 5
    assert effects[-1] == CloseClient(Reason.engine_unavailable)
    assert effects[-2].message.message == "no engine has the version of the model that this session is bound to"
    assert effects[-2].message.retryable


def test_a_version_that_warms_up_meanwhile_takes_the_session_over() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 100)
    machine.engine_event(Refused(2, RefusalReason.unknown_model), 110)
    next_effects(machine)
    effects = machine.engine_event(granted(3), 900)
    assert sent_to_client(effects) == [Migrated("link_lost", 100, 800, "v1")]
    assert effects[-1] == SendAudio(PCM_100_MS)


def test_an_engine_that_grants_another_version_gets_nothing_of_what_is_held() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 100)
    assert machine.engine_event(granted(2, version="v2"), 110) == [CancelEngine()]
    assert next_effects(machine) == [opening(3, version="v1")]
    assert machine.model_version == "v1"


def test_a_client_that_asked_for_a_version_gets_that_one_or_none() -> None:
    machine = make(options=msgspec.structs.replace(OPTIONS, model_version="v9"))
    assert machine.begin(0) == [opening(1, version="v9")]
    effects = machine.engine_event(granted(1, version="v1"), 5)
    assert effects[0] == CancelEngine()
    assert effects[-1] == CloseClient(Reason.unknown_model)
    assert sum(isinstance(effect, CancelEngine) for effect in effects) == 1


def test_a_session_with_nothing_held_may_go_on_with_another_version_and_is_told() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(final(0, 1_600, "yes"), 20)
    assert machine.engine_event(Lost(1, LossReason.drained), 30)[1:] == [opening(2, 1_600)]
    assert machine.client_audio(PCM_100_MS, 35) == []
    effects = machine.engine_event(granted(2, version="v2"), 40)
    assert effects[0] == SendToClient(Migrated("drained", 100, 10, "v2"))
    assert effects[-1] == SendAudio(PCM_100_MS)
    assert machine.engine_event(Lost(2, LossReason.link_lost), 50)[1:] == [opening(3, 1_600, version="v2")]


def test_an_engine_that_never_answers_the_opening_is_given_up() -> None:
    machine = make()
    machine.begin(0)
    assert machine.timer(2_000) == [CancelEngine(LossReason.silent)]
    assert machine.timer(2_050) == [opening(2, is_replay=False)]
    assert machine.timer(3_000)[-1] == CloseClient(Reason.engine_unavailable)


def test_a_session_without_an_engine_gives_up_in_time_and_says_that_trying_again_helps() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 100)
    epoch, now_ms = 2, 100
    while not machine.is_closed:
        machine.engine_event(Refused(epoch, RefusalReason.unreachable), now_ms)
        now_ms = machine.due_ms
        effects = machine.timer(now_ms)
        epoch += any(isinstance(effect, OpenEngine) for effect in effects)
    assert now_ms == 10_100
    assert effects[-2].message.retryable
    assert effects[-1] == CloseClient(Reason.engine_unavailable)


def test_audio_that_kills_engine_after_engine_is_given_up() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    for epoch in (1, 2, 3):
        machine.engine_event(Lost(epoch, LossReason.link_lost), 20)
        machine.engine_event(granted(epoch + 1), 20)
    assert machine.engine_event(Lost(4, LossReason.link_lost), 20)[-1] == CloseClient(Reason.engine_unavailable)


def test_a_final_clears_the_suspicion_against_the_audio() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 9, 10)
    for epoch in range(1, 9):
        machine.engine_event(Lost(epoch, LossReason.link_lost), 20)
        machine.engine_event(granted(epoch + 1), 20)
        machine.engine_event(final((epoch - 1) * 800, epoch * 800, epoch=epoch + 1), 20)
    assert not machine.is_closed


def test_a_final_that_leaves_a_gap_counts_as_a_lost_engine() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    effects = machine.engine_event(final(800, 1_600, "gap"), 20)
    assert effects[:2] == [
        CancelEngine(LossReason.protocol_broken),
        EngineLost(LossReason.protocol_broken, to_replay_ms=100, losses=1),
    ]


def test_a_final_of_audio_that_was_never_sent_counts_as_a_lost_engine() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    assert machine.engine_event(final(0, 1_601, "more"), 20)[0] == CancelEngine(LossReason.protocol_broken)


def test_an_expired_token_ends_the_session_after_the_utterance_under_way() -> None:
    machine = streaming(expires_at_ms=1_000)
    machine.client_audio(PCM_100_MS * 2, 900)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 950)
    assert machine.timer(1_000) == []
    machine.client_audio(PCM_100_MS, 1_050)
    effects = machine.engine_event(final(0, 4_800, "so long"), 1_100)
    assert sent_to_client(effects)[0].text == "so long"
    assert sent_to_client(effects)[-1].reason == "token_expired"
    assert effects[-1] == CloseClient(Reason.token_expired)


def test_an_utterance_that_outlasts_the_grace_is_cut_and_told() -> None:
    machine = streaming(expires_at_ms=1_000)
    machine.client_audio(PCM_100_MS * 2, 900)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 950)
    machine.timer(1_000)
    assert machine.timer(6_000) == [CutEngine(3_200, is_last=True)]
    effects = machine.engine_event(final(0, 3_200, "so", reason=EndReason.finish), 6_100)
    assert effects[-1] == CloseClient(Reason.token_expired)


def test_a_session_in_silence_ends_at_once_when_its_time_is_over() -> None:
    machine = streaming()
    assert machine.timer(1_000_000 - 1)[-1:] == [CloseClient(Reason.idle_timeout)]
    machine = streaming()
    machine.client_keepalive(999_000)
    assert machine.timer(1_000_000)[-1] == CloseClient(Reason.session_too_long)


def test_a_drain_lets_nothing_hang_when_no_engine_answers() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Lost(1, LossReason.link_lost), 20)
    machine.end_after_utterance(Reason.draining, 30)
    while not machine.is_closed:
        effects = machine.timer(machine.due_ms)
    assert effects[-1] == CloseClient(Reason.draining)


def test_a_drain_cuts_no_audio_that_still_comes() -> None:
    """A word may have begun in what nobody has heard yet; its client goes on elsewhere from the last final's end."""
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    assert not any(isinstance(effect, CutEngine) for effect in machine.end_after_utterance(Reason.draining, 30))
    for now_ms in range(400, 20_000, 400):  # longer than the grace of other endings
        effects = machine.client_audio(PCM_100_MS[:320], now_ms)
        if now_ms == 2_000:
            machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), now_ms)
        machine.engine_event(Progress(1, machine.end_sample, 1), now_ms)
        effects += machine.timer(now_ms) if now_ms >= machine.due_ms else []
        assert not any(isinstance(effect, CutEngine | CloseClient) for effect in effects)
    effects = machine.engine_event(final(0, machine.end_sample - 160, "so long"), 20_000)
    assert sent_to_client(effects)[-1].reason == "draining"
    assert effects[-1] == CloseClient(Reason.draining)


def test_a_drain_cuts_what_came_from_a_client_that_sends_nothing_more() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 20)
    machine.engine_event(Progress(1, 3_200, 1), 25)
    machine.end_after_utterance(Reason.draining, 30)
    effects = machine.timer(machine.due_ms)
    while not effects:
        effects = machine.timer(machine.due_ms)
    assert effects == [CutEngine(3_200, is_last=True)]


def test_a_session_that_is_shed_ends_with_its_utterance_and_says_when_to_go_on() -> None:
    machine = streaming(resume_token="x")
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 20)
    assert machine.end_after_utterance(Reason.capacity_shed, 30, retry_after_ms=2_500, grace_ms=1_000) == []
    assert machine.is_ending
    told = sent_to_client(machine.engine_event(final(0, 1_600, "so long"), 40))
    assert told[0].text == "so long"
    assert (told[-1].reason, told[-1].retry_after_ms, told[-1].retryable) == ("capacity_shed", 2_500, True)


def test_what_is_not_final_of_a_session_that_is_shed_is_left_to_its_client_whole() -> None:
    machine = streaming(resume_token="x")
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 20)
    machine.end_after_utterance(Reason.capacity_shed, 30, grace_ms=1_000)
    effects = machine.timer(1_030)
    assert not any(isinstance(effect, CutEngine) for effect in effects)
    assert effects[-1] == CloseClient(Reason.capacity_shed)
    silent = streaming(resume_token="x")
    silent.client_audio(PCM_100_MS, 10)
    assert silent.end_after_utterance(Reason.capacity_shed, 30, grace_ms=1_000)[-1] == CloseClient(Reason.capacity_shed)


def test_a_session_that_is_shed_and_cannot_be_gone_on_with_gets_the_words_of_all_that_was_received() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 20)
    machine.end_after_utterance(Reason.capacity_shed, 30, grace_ms=1_000)
    assert machine.timer(1_030) == [CutEngine(3_200, is_last=True)]
    effects = machine.engine_event(final(0, 3_200, "so", reason=EndReason.finish), 1_100)
    assert effects[-1] == CloseClient(Reason.capacity_shed)


def test_a_client_that_is_gone_frees_its_engine() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    assert machine.client_gone() == [CancelEngine(), CloseClient(Reason.client_gone)]
    assert machine.held_samples == 0
    assert machine.client_gone() == []


def test_a_closed_session_does_nothing_more() -> None:
    machine = streaming()
    machine.client_gone()
    assert machine.client_audio(PCM_100_MS, 1) == []
    assert machine.client_finalize("a", 1) == []
    assert machine.client_finish(1) == []
    assert machine.engine_event(granted(), 1) == []
    assert machine.timer(machine.due_ms) == []


def test_speech_without_partials_is_let_out_too() -> None:
    machine = streaming(expires_at_ms=1_000)
    machine.client_audio(PCM_100_MS * 2, 900)
    machine.engine_event(SpeechStarted(1, 800), 950)
    assert machine.timer(1_000) == []
    effects = machine.engine_event(final(0, 3_200, "so long"), 1_100)
    assert sent_to_client(effects)[0].text == "so long"
    assert effects[-1] == CloseClient(Reason.token_expired)


def short_of_compute(when_exhausted: WhenExhausted = WhenExhausted.throttle, *, granted_ms: int = 50) -> SessionMachine:
    """A streaming machine with credit for so much audio."""
    rules = quota_rules(when_exhausted)
    return streaming(quota=SessionQuota(rules, QuotaUpdate(granted_ms * 1_000), 0))


def exhausted(granted_ms: int, retry_after_ms: int = 700) -> QuotaUpdate:
    return QuotaUpdate(granted_ms * 1_000, 3, Level.project, retry_after_ms)


def test_audio_without_credit_is_held_and_goes_when_credit_comes() -> None:
    machine = short_of_compute()
    assert machine.client_audio(PCM_100_MS, 10) == [SendAudio(PCM_100_MS[:1_600])]
    assert machine.client_audio(PCM_100_MS, 20) == []
    assert machine.quota_update(QuotaUpdate(150_000), 30) == [SendAudio(PCM_100_MS[1_600:] + PCM_100_MS[:1_600])]
    assert machine.held_samples == 3_200


def test_a_throttled_session_pauses_its_client_when_it_holds_enough_and_goes_on() -> None:
    machine = short_of_compute()
    effects: list[Any] = []
    for at_ms in range(11):
        effects += machine.client_audio(PCM_100_MS, at_ms)
    assert effects[-1] == PauseClient()
    assert machine.timer(900_000) == [], "a client that is not read from was called idle"
    machine.quota_update(QuotaUpdate(None), 900_001)
    machine.engine_event(Progress(1, 17_600, 5), 900_002)
    assert ResumeClient() in machine.engine_event(final(0, 17_600, "all"), 900_003)


def test_a_throttled_client_is_told_once_and_again_when_it_is_over() -> None:
    machine = short_of_compute()
    machine.client_audio(PCM_100_MS, 10)
    told = sent_to_client(machine.quota_update(exhausted(50), 1_500))
    assert told == [Usage(0, 0, remaining_us=3, level="project", is_throttled=True, retry_after_ms=700)]
    assert machine.is_throttled
    assert sent_to_client(machine.quota_update(exhausted(50), 2_500)) == []
    assert sent_to_client(machine.quota_update(QuotaUpdate(500_000, 9, Level.org), 3_000)) == [
        Usage(0, 0, remaining_us=9, level="org")
    ]
    assert not machine.is_throttled


def test_a_plan_that_finishes_cuts_where_the_credit_ends_and_says_when_to_come_back() -> None:
    machine = short_of_compute(WhenExhausted.finish)
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(SpeechStarted(1, 200), 20)
    assert machine.quota_update(exhausted(50), 30) == [CutEngine(800, is_last=True)]
    assert machine.quota_update(QuotaUpdate(900_000), 40) == [], "it ends, whatever comes"
    machine.engine_event(Progress(1, 800, 1_000), 45)
    effects = machine.engine_event(final(0, 800, "half", reason=EndReason.finish), 50)
    error = sent_to_client(effects)[-1]
    assert (error.reason, error.retryable, error.retry_after_ms) == ("quota_exhausted", True, 700)
    assert effects[-1] == CloseClient(Reason.quota_exhausted)


def test_a_plan_that_finishes_lets_the_utterance_end_while_there_is_credit() -> None:
    machine = short_of_compute(WhenExhausted.finish, granted_ms=150)
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(SpeechStarted(1, 200), 20)
    assert machine.quota_update(exhausted(150), 30) == []
    assert machine.client_audio(PCM_100_MS, 40) == [SendAudio(PCM_100_MS[:1_600])]
    assert next_effects(machine) == [CutEngine(2_400, is_last=True)], "no final can come: what would bring it waits"


def test_a_plan_that_finishes_waits_for_late_news_of_credit_and_not_for_ever() -> None:
    rules = quota_rules(WhenExhausted.finish, finish_after_ms=1_500)
    machine = streaming(quota=SessionQuota(rules, QuotaUpdate(50_000), 0))
    machine.client_audio(PCM_100_MS, 10)
    assert sent_to_client(machine.quota_update(exhausted(50), 1_000)) != []
    assert machine.due_ms <= 2_500
    assert machine.timer(2_499) == []
    assert machine.timer(2_500) == [CutEngine(800, is_last=True)]


def test_a_plan_that_finishes_ends_at_once_when_nothing_is_held() -> None:
    machine = short_of_compute(WhenExhausted.finish)
    assert machine.quota_update(exhausted(0), 30)[-1] == CloseClient(Reason.quota_exhausted)


def test_a_limiter_that_is_away_holds_nobody_up() -> None:
    machine = short_of_compute(granted_ms=0)
    assert machine.client_audio(PCM_100_MS, 10) == []
    assert machine.quota_update(QuotaUpdate(None), 20) == [SendAudio(PCM_100_MS)]


def test_a_replay_goes_out_at_once_whatever_the_credit() -> None:
    machine = short_of_compute(granted_ms=100)
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(Progress(1, 1_600, 100_000), 20)
    machine.engine_event(Lost(1, LossReason.link_lost), 30)
    effects = machine.engine_event(granted(2), 40)
    assert SendAudio(PCM_100_MS) in effects
    machine.engine_event(Progress(2, 1_600, 80_000), 50)
    assert machine.used_so_far().compute_us == 100_000
    assert machine.compute_us == 180_000


def test_where_to_go_on_is_told_anew_if_it_is_not_what_was_told() -> None:
    machine = streaming()
    machine.resumes_at(("wss://other.example/v1/stream",))
    error = sent_to_client(machine.end_now(Reason.draining))[-1]
    assert isinstance(error, ErrorMessage)
    assert error.gateways == ("wss://other.example/v1/stream",)


def test_before_an_engine_is_there_the_first_answer_names_where_to_go_on() -> None:
    machine = make(resume_token="x")
    machine.begin(0)
    machine.resumes_at(("wss://other.example/v1/stream",))
    (started, *_) = sent_to_client(machine.engine_event(granted(), 7))
    assert started.resume_at == ("wss://other.example/v1/stream",)


def test_a_session_that_policy_ends_before_an_engine_heard_anything_ends_now() -> None:
    machine = make()
    machine.begin(0)
    machine.client_audio(PCM_100_MS, 1)
    effects = machine.end_by_policy(Reason.residency_denied, 2, "by rule F01")
    assert effects[0] == CancelEngine()
    assert effects[-1] == CloseClient(Reason.residency_denied)


def test_an_engine_that_is_lost_or_silent_after_policy_ended_the_session_is_not_replaced() -> None:
    for event in (Lost(1, LossReason.link_lost), None):
        machine = streaming()
        machine.client_audio(PCM_100_MS, 10)
        assert machine.end_by_policy(Reason.residency_denied, 20) == [CutEngine(1_600, is_last=True)]
        effects = next_effects(machine) if event is None else machine.engine_event(event, 30)
        assert not [effect for effect in effects if isinstance(effect, OpenEngine)]
        assert effects[-1] == CloseClient(Reason.residency_denied)


def test_a_session_that_ends_anyway_ends_by_policy_all_the_same() -> None:
    machine = streaming()
    machine.client_audio(PCM_100_MS, 10)
    machine.engine_event(PartialResult(1, 0, 1_600, "so", 0), 15)
    machine.end_after_utterance(Reason.draining, 20)
    assert machine.end_by_policy(Reason.residency_denied, 30) == [CutEngine(1_600, is_last=True)]
    assert machine.client_audio(PCM_100_MS, 40) == []
    assert machine.engine_event(final(0, 1_600, "so"), 50)[-1] == CloseClient(Reason.residency_denied)
