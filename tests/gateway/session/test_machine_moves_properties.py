"""Sessions that are moved, planned and not, against an oracle: whatever the engines do and whenever they go, the client
gets the finals of an undisturbed run, each once.

The engines of this test end utterances by position alone, as real ones do by the audio: every replica ends them at the
same places.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    OpenStream,
    PartialResult,
    Progress,
    RefusalReason,
    Refused,
    StreamEvent,
    StreamOptions,
    Word,
)
from gateway.errors import Reason
from gateway.session.effects import (
    CancelEngine,
    CancelStandby,
    CloseClient,
    Committed,
    CutEngine,
    OpenEngine,
    OpenStandby,
    SendAudio,
    SendToClient,
    StandbyAudio,
    StandbyCut,
    SwitchToStandby,
)
from gateway.session.identity import SessionIdentity
from gateway.session.limits import SessionLimits
from gateway.session.machine import SessionMachine
from gateway.session.origin import SessionOrigin
from gateway.session.slowness import SlownessLimits
from gateway.wire.messages import Ack, FinalMessage, Migrated, PartialMessage, Started
from policies.backpressure import HoldingLimits
from policies.failover import RecoveryLimits
from tests.fakes.quota import unlimited_quota

pytestmark = pytest.mark.unit

WINDOW_SAMPLES = 400
CAPACITY_SAMPLES = 2_000
UTTERANCE_SAMPLES = 370
SILENCE_SAMPLES = 50
"""An utterance ends at each multiple of the one, when so much more than that was heard."""
COMPUTE_US = 7
FOR_GOOD = (RefusalReason.unknown_model, RefusalReason.unsupported_language, RefusalReason.bad_options)
LIMITS = SessionLimits(
    idle_ms=5_000,
    session_ms=200_000,
    ending_grace_ms=500,
    liveness_ms=1_000,
    stall_samples=100,
    opening_ms=2_000,
    least_audio_samples=1,
    pending_cuts=100,
    holding=HoldingLimits(low_water_samples=500, high_water_samples=1_200, capacity_samples=CAPACITY_SAMPLES),
    recovery=RecoveryLimits(first_delay_ms=50, max_delay_ms=400, timeout_ms=4_000, max_losses=6),
    slowness=SlownessLimits(after_ms=300, move_within_ms=800, rest_ms=2_000),
)


def pcm(start: int, num_samples: int) -> bytes:
    """Samples that say their own position."""
    return b"".join(struct.pack("<H", (start + i) % 65_536) for i in range(num_samples))


def end_of_utterance(start: int, cuts: list[int], heard_sample: int) -> int | None:
    """Where the utterance that begins there ends, if that can be known of the audio before `heard_sample`."""
    pause = (start // UTTERANCE_SAMPLES + 1) * UTTERANCE_SAMPLES
    cut = min((cut for cut in cuts if cut > start), default=1 << 62)
    if cut < pause + SILENCE_SAMPLES:
        return cut if heard_sample >= cut else None
    return pause if heard_sample >= pause + SILENCE_SAMPLES else None


class EngineTwin:
    """One engine stream: checks what it is sent, and recognises it as any other would."""

    def __init__(self, stream: OpenStream) -> None:
        self.epoch = stream.epoch
        self.start_sample = self.received = self.consumed = self.utterance_start = stream.start_sample
        self.cuts: list[int] = []
        self.asked_version = stream.options.model_version
        self.version = ""
        self.is_granted = False
        self.is_over = False
        self.is_outside = False
        """It was told to be outside of the policy set, by a wish that the session follows."""
        self.hears_no_more = False

    @property
    def is_live(self) -> bool:
        return self.is_granted and not self.is_over

    def take(self, pcm16: bytes) -> None:
        assert self.is_live
        assert not self.hears_no_more, "audio beyond a commit point went to an engine outside the policy set"
        count = len(pcm16) // 2
        assert pcm16 == pcm(self.received, count), "replayed audio is not the audio at its position"
        self.received += count
        assert self.received - self.consumed <= WINDOW_SAMPLES, "the engine's window was overrun"

    def cut(self, at_sample: int) -> None:
        assert self.is_live
        assert at_sample == self.received, "a cut is not where the audio sent so far ends"
        self.cuts.append(at_sample)

    def work(self, share: int) -> list[StreamEvent]:
        """Consume a share of what is there."""
        self.consumed += (self.received - self.consumed) * share // 100
        events: list[StreamEvent] = []
        while (end := end_of_utterance(self.utterance_start, self.cuts, self.consumed)) is not None:
            start, self.utterance_start = self.utterance_start, end
            text = f"{start}-{end}"
            words = (Word(text, start, end, 1.0),)
            events.append(FinalResult(self.epoch, start, end, text, words, EndReason.pause_after_speech))
        return [*events, Progress(self.epoch, self.consumed, COMPUTE_US)]


class SessionOnTheMove(RuleBasedStateMachine):
    """Client, engines, wishes to move and clock are Hypothesis's."""

    @initialize(start=st.sampled_from([0, 0, 123]), free=st.sampled_from([0, 400]), version=st.sampled_from(["", "v1"]))
    def begin(self, start: int, free: int, version: str) -> None:
        self.now_ms = 0
        origin = SessionOrigin()
        self.first_epoch = 1
        if start or version:
            charged = start + free
            origin = SessionOrigin(True, start, 4, start, charged, "m" if version else "", version)
            self.first_epoch = 5
        self.origin = origin
        identity = SessionIdentity("s", "t", "r", StreamOptions(), 150_000, 500, resume_token="x", origin=origin)
        self.quota = unlimited_quota()
        self.machine = SessionMachine(identity, LIMITS, self.quota, 0)
        self.engine: EngineTwin | None = None
        self.standby: EngineTwin | None = None
        self.epochs: list[int] = []
        self.sent_by_client = self.told_end = self.shown_end_ms = start
        self.shown_end_ms = start // 16
        self.finals: list[tuple[int, int]] = []
        self.cuts: list[int] = []
        self.asked: set[str] = set()
        self.confirmed: set[str] = set()
        self.has_finished = False
        self.is_ended_by_policy = False
        self.close: Reason | None = None
        self.spent_us = 0
        self.heard_through = start
        self.heard_by = version
        self.carry_out(self.machine.begin(0))

    # --- what the machine asks for ---

    def carry_out(self, effects: list[Any]) -> None:
        for effect in effects:
            assert self.close is None, "an effect after the close"
            self.check_fence(effect)
            match effect:
                case OpenEngine(stream):
                    assert self.engine is None or self.engine.is_over
                    assert self.standby is None, "a standby was left behind"
                    self.engine = self.opened(stream)
                case OpenStandby(stream):
                    assert self.engine is not None
                    assert self.engine.is_granted
                    assert self.standby is None, "two standbys at once"
                    assert stream.is_replay
                    self.standby = self.opened(stream)
                case SendAudio(audio):
                    self.feed(self.engine, audio)
                case StandbyAudio(audio):
                    self.feed(self.standby, audio)
                case CutEngine(at_sample):
                    assert self.engine is not None
                    self.engine.cut(at_sample)
                case StandbyCut(at_sample):
                    assert self.standby is not None
                    self.standby.cut(at_sample)
                case CancelEngine():
                    assert self.engine is not None
                    self.engine.is_over = True
                case CancelStandby():
                    assert self.standby is not None
                    self.standby = None
                case SwitchToStandby():
                    assert self.engine is not None
                    assert self.engine.is_over, "two streams give results"
                    assert self.standby is not None
                    assert self.standby.received >= self.machine.committed_sample
                    self.engine, self.standby = self.standby, None
                case Committed(committed_sample, charged_sample, epoch, model, _):
                    assert committed_sample == self.told_end
                    assert charged_sample >= self.origin.charged_through_sample
                    assert epoch == self.epochs[-1]
                    assert model == "m"
                case CloseClient(reason):
                    self.close = reason
                case SendToClient(message):
                    self.told(message)

    def check_fence(self, effect: Any) -> None:
        if not self.is_ended_by_policy:
            return
        assert not isinstance(effect, SendAudio | StandbyAudio | OpenEngine | OpenStandby)
        if isinstance(effect, CutEngine):
            self.cuts.append(effect.at_sample)

    def opened(self, stream: OpenStream) -> EngineTwin:
        assert stream.start_sample == self.told_end
        assert stream.epoch >= self.first_epoch
        assert stream.epoch not in self.epochs, "an epoch was used twice"
        self.epochs.append(stream.epoch)
        return EngineTwin(stream)

    def feed(self, engine: EngineTwin | None, audio: bytes) -> None:
        assert engine is not None
        is_final_already = engine.received < self.machine.committed_sample
        if engine.received < self.heard_through and not is_final_already:
            assert engine.version == self.heard_by, "audio was recognised again by other weights"
        engine.take(audio)
        if engine.received >= self.heard_through:
            self.heard_through = engine.received
            self.heard_by = engine.version

    def told(self, message: Any) -> None:
        match message:
            case FinalMessage():
                start, end = map(int, message.text.split("-"))
                assert start == self.told_end, "a final is missing, or came twice"
                assert end_of_utterance(start, self.cuts, self.sent_by_client) == end, "not an undisturbed run's final"
                self.finals.append((start, end))
                self.told_end = end
                self.shown_end_ms = end // 16
                if self.engine is not None and self.engine.is_outside:
                    self.engine.hears_no_more = True
            case PartialMessage():
                assert message.end_ms >= self.shown_end_ms, "a partial went back"
                assert message.start_ms == self.told_end // 16
                self.shown_end_ms = message.end_ms
            case Ack():
                assert message.sample == self.told_end
                assert not self.confirmed & set(message.finalized), "a finalize was confirmed twice"
                self.confirmed |= set(message.finalized)
            case Started():
                assert message.resumed_from_sample == (self.origin.start_sample if self.origin.is_resumed else None)
            case Migrated():
                assert message.replayed_ms >= 0

    def hear(self, event: StreamEvent) -> None:
        if isinstance(event, Progress) and not self.machine.is_closed:
            self.spent_us += event.compute_us
        self.carry_out(self.machine.engine_event(event, self.now_ms))

    # --- the client ---

    @precondition(lambda self: not self.has_finished)
    @rule(num_samples=st.integers(1, 300))
    def audio(self, num_samples: int) -> None:
        if self.machine.is_closed or not self.machine.is_reading or num_samples > self.machine.room_samples:
            return
        if self.is_ended_by_policy:
            assert self.machine.client_audio(pcm(self.sent_by_client, num_samples), self.now_ms) == []
            return
        at = self.sent_by_client
        self.sent_by_client += num_samples
        self.carry_out(self.machine.client_audio(pcm(at, num_samples), self.now_ms))

    @precondition(lambda self: not self.has_finished)
    @rule()
    def finalize(self) -> None:
        if not self.machine.is_closed and not self.is_ended_by_policy:
            name = str(len(self.asked))
            self.asked.add(name)
            self.cuts.append(self.sent_by_client)
            self.carry_out(self.machine.client_finalize(name, self.now_ms))

    @precondition(lambda self: self.sent_by_client > 1_500)
    @rule()
    def finish(self) -> None:
        if not self.has_finished:
            self.cuts.append(self.sent_by_client)
        self.has_finished = True
        self.carry_out(self.machine.client_finish(self.now_ms))

    # --- the engines ---

    def one(self, of_standby: bool) -> EngineTwin | None:
        return self.standby if of_standby else self.engine

    @rule(of_standby=st.booleans(), version=st.sampled_from(["v1", "v2"]), ignores_the_pin=st.integers(0, 9))
    def grant(self, of_standby: bool, version: str, ignores_the_pin: int) -> None:
        engine = self.one(of_standby)
        if engine is None or engine.is_granted or engine.is_over:
            return
        engine.version = version if ignores_the_pin == 0 else engine.asked_version or version
        engine.is_granted = True
        self.hear(Granted(engine.epoch, "m", engine.version, WINDOW_SAMPLES))

    @rule(of_standby=st.booleans(), reason=st.sampled_from(RefusalReason), retry_after_ms=st.sampled_from([None, 80]))
    def refuse(self, of_standby: bool, reason: RefusalReason, retry_after_ms: int | None) -> None:
        engine = self.one(of_standby)
        if engine is None or engine.is_granted or engine.is_over:
            return
        if self.machine.model_version == "" and reason in FOR_GOOD:
            return
        self.gone(engine)
        self.hear(Refused(engine.epoch, reason, retry_after_ms))

    def gone(self, engine: EngineTwin) -> None:
        engine.is_over = True
        if engine is self.standby:
            self.standby = None

    @rule(of_standby=st.booleans(), share=st.integers(0, 100))
    def work(self, of_standby: bool, share: int) -> None:
        engine = self.one(of_standby)
        if engine is None or not engine.is_live:
            return
        charged_us = self.quota.charged_us
        for event in engine.work(share):
            if engine.is_over or (engine is not self.engine and engine is not self.standby):
                return
            is_ours = engine is self.standby
            self.hear(event)
            assert not is_ours or self.quota.charged_us == charged_us, "a standby's replay was charged"

    @rule(of_standby=st.booleans())
    def partial(self, of_standby: bool) -> None:
        engine = self.one(of_standby)
        if engine is not None and engine.is_live and engine.consumed > engine.utterance_start:
            self.hear(PartialResult(engine.epoch, engine.utterance_start, engine.consumed, "…", 0))

    @rule(of_standby=st.booleans(), reason=st.sampled_from(list(LossReason)))
    def lose(self, of_standby: bool, reason: LossReason) -> None:
        engine = self.one(of_standby)
        if engine is not None and not engine.is_over:
            self.gone(engine)
            self.hear(Lost(engine.epoch, reason))

    @rule(of_standby=st.booleans(), reason=st.sampled_from(MoveReason), within_ms=st.integers(0, 2_000))
    def wish_it_elsewhere(self, of_standby: bool, reason: MoveReason, within_ms: int) -> None:
        engine = self.one(of_standby)
        if engine is not None and engine.is_live:
            follows = engine is self.engine and within_ms > 0 and not self.machine.is_ending
            engine.is_outside = engine.is_outside or (follows and reason is MoveReason.outside_policy)
            self.hear(MoveAway(engine.epoch, reason, within_ms))

    @precondition(lambda self: self.sent_by_client > 500)
    @rule()
    def policy_ends_it(self) -> None:
        """What its engine has heard becomes final; nothing more goes to any."""
        if not self.machine.is_closed:
            self.is_ended_by_policy = True
            self.carry_out(self.machine.end_by_policy(Reason.residency_denied, self.now_ms))

    @rule(num_samples=st.integers(1, 50))
    def lie(self, num_samples: int) -> None:
        """A standby says what is not so."""
        if (standby := self.standby) is not None and standby.is_live:
            end = standby.utterance_start + num_samples
            if end_of_utterance(standby.utterance_start, standby.cuts, end) != end:
                self.hear(FinalResult(standby.epoch, standby.utterance_start + 1, end + 1, "", (), EndReason.finalize))
                assert self.standby is None, "a standby that breaks the rules was believed"

    # --- all of them, as on an ordinary day ---

    @rule(steps=st.integers(1, 12), share=st.integers(20, 100), share_of_standby=st.integers(0, 100))
    def go_on(self, steps: int, share: int, share_of_standby: int) -> None:
        """Speech comes, whoever is asked grants, and engines work at some pace."""
        for _ in range(steps):
            if not self.has_finished:
                self.audio(90)
            for of_standby, its_share in ((False, share), (True, share_of_standby)):
                self.grant(of_standby, "v1", 1)
                self.work(of_standby, its_share)
            self.partial(False)
            self.pass_time(20)

    @rule(reason=st.sampled_from(MoveReason), within_ms=st.integers(1, 2_000))
    def plan_a_move(self, reason: MoveReason, within_ms: int) -> None:
        self.go_on(2, 80, 0)
        self.wish_it_elsewhere(False, reason, within_ms)

    # --- time ---

    @rule(ms=st.sampled_from([1, 30, 100, 400, 1_200]))
    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        if self.machine.due_ms <= self.now_ms:
            self.carry_out(self.machine.timer(self.now_ms))

    # --- what must stay true ---

    @invariant()
    def what_is_held_is_what_is_not_final(self) -> None:
        expected = 0 if self.machine.is_closed else self.sent_by_client - self.machine.committed_sample
        assert self.machine.held_samples == expected
        assert self.machine.committed_sample == self.told_end

    @invariant()
    def a_session_that_is_finished_told_everything(self) -> None:
        assert self.machine.is_closed == (self.close is not None)
        if self.close is Reason.finished:
            assert self.told_end == self.sent_by_client
            assert self.confirmed == self.asked

    @invariant()
    def compute_is_counted_once_and_audio_is_charged_once(self) -> None:
        assert self.machine.compute_us == self.spent_us
        free_samples = max(0, min(self.origin.charged_through_sample, self.sent_by_client) - self.origin.start_sample)
        new_samples = self.sent_by_client - self.origin.start_sample - free_samples
        assert 0 <= self.machine.used_so_far().audio_ms * 16 <= max(0, new_samples)

    @invariant()
    def streams_that_are_there_are_the_ones_that_the_machine_knows(self) -> None:
        if self.machine.is_closed:
            assert self.engine is None or self.engine.is_over
            assert self.standby is None

    @invariant()
    def deadlines_are_never_forgotten(self) -> None:
        if not self.machine.is_closed:
            assert self.machine.due_ms <= self.machine._next_deadline_ms()

    def teardown(self) -> None:
        """Left alone, every session ends by itself."""
        if not hasattr(self, "machine"):
            return
        for engine in (self.engine, self.standby):
            if engine is not None:
                engine.is_over = True
        for _ in range(2_000):
            if self.machine.is_closed:
                return
            self.now_ms = max(self.now_ms, self.machine.due_ms)
            self.carry_out(self.machine.timer(self.now_ms))
        raise AssertionError("a session without a living client or engine never ends")


SessionOnTheMove.TestCase.settings = settings(
    max_examples=1_000 if os.environ.get("PATCHBAY_LONG") == "1" else 80,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSessionOnTheMove = SessionOnTheMove.TestCase


def test_a_standby_that_takes_over_inside_a_final_utterance_shows_none_of_it_again() -> None:
    state = SessionOnTheMove()
    state.begin(start=0, free=0, version="")
    state.go_on(share=20, share_of_standby=0, steps=4)
    state.wish_it_elsewhere(of_standby=False, reason=MoveReason.outside_policy, within_ms=21)
    state.go_on(share=20, share_of_standby=0, steps=1)
    state.work(of_standby=True, share=13)
    state.plan_a_move(reason=MoveReason.engine_draining, within_ms=1)
    assert state.told_end == UTTERANCE_SAMPLES
    state.teardown()
