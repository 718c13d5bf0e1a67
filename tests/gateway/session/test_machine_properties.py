"""The session machine against random clients, engines, versions and clocks: finals tile the audio, replay is contiguous
and by the same weights, held audio is bounded, every session ends once.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engines.interface import (
    SAMPLE_RATE_HZ,
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
    StreamEvent,
    StreamOptions,
    Word,
)
from gateway.errors import Reason
from gateway.session.credit import QuotaUpdate
from gateway.session.effects import CancelEngine, CloseClient, CutEngine, OpenEngine, SendAudio, SendToClient
from gateway.session.identity import SessionIdentity
from gateway.session.limits import SessionLimits
from gateway.session.machine import SessionMachine
from gateway.session.quota import SessionQuota
from gateway.session.slowness import SlownessLimits
from gateway.wire.messages import Ack, FinalMessage
from policies.backpressure import HoldingLimits
from policies.failover import RecoveryLimits
from policies.plans import Level, WhenExhausted
from tests.fakes.quota import US_PER_AUDIO_S, quota_rules, unlimited_quota

pytestmark = pytest.mark.unit

WINDOW_SAMPLES = 400
CAPACITY_SAMPLES = 2_000
LIMITS = SessionLimits(
    idle_ms=5_000,
    session_ms=200_000,
    ending_grace_ms=500,
    liveness_ms=1_000,
    stall_samples=100,
    opening_ms=2_000,
    least_audio_samples=1,
    pending_cuts=4,
    holding=HoldingLimits(low_water_samples=500, high_water_samples=1_200, capacity_samples=CAPACITY_SAMPLES),
    recovery=RecoveryLimits(first_delay_ms=50, max_delay_ms=400, timeout_ms=4_000, max_losses=6),
    slowness=SlownessLimits(after_ms=2_000, move_within_ms=3_000, rest_ms=20_000),
)


FOR_GOOD = (RefusalReason.unknown_model, RefusalReason.unsupported_language, RefusalReason.bad_options)


def pcm(start: int, num_samples: int) -> bytes:
    """Samples that say their own position."""
    return b"".join(struct.pack("<H", (start + i) % 65_536) for i in range(num_samples))


class EngineTwin:
    """One engine stream: checks what it is sent, and remembers what it owes."""

    def __init__(self, stream: OpenStream) -> None:
        self.epoch = stream.epoch
        self.utterance_start = stream.start_sample
        self.received = stream.start_sample
        self.consumed = stream.start_sample
        self.cuts: list[int] = []
        self.all_cuts: set[int] = set()
        self.asked_version = stream.options.model_version
        self.version = ""
        self.is_granted = False
        self.is_over = False

    def take(self, pcm16: bytes) -> None:
        assert self.is_granted
        assert not self.is_over
        count = len(pcm16) // 2
        assert pcm16 == pcm(self.received, count), "replayed audio is not the audio at its position"
        self.received += count
        assert self.received - self.consumed <= WINDOW_SAMPLES, "the engine's window was overrun"

    def cut(self, at_sample: int) -> None:
        assert self.is_granted
        assert at_sample == self.received, "a cut is not where the audio sent so far ends"
        self.cuts.append(at_sample)
        self.all_cuts.add(at_sample)


class SessionUnderFire(RuleBasedStateMachine):
    """Client, engines and clock are Hypothesis's."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        identity = SessionIdentity("s", "t", "r", StreamOptions(), expires_at_ms=150_000, jitter_permille=500)
        self.quota = self.make_quota()
        self.machine = SessionMachine(identity, LIMITS, self.quota, 0)
        self.engine: EngineTwin | None = None
        self.sent_by_client = 0
        self.told_end = 0
        self.acknowledged_ms = 0
        self.asked: dict[str, int] = {}
        self.confirmed: set[str] = set()
        self.has_finished = False
        self.close: Reason | None = None
        self.heard_through = 0
        self.heard_by = ""
        """The version that was sent the audio before `heard_through`, as far as it is not final."""
        self.carry_out(self.machine.begin(0))

    def make_quota(self) -> SessionQuota:
        return unlimited_quota()

    def about_to_send(self, end_sample: int) -> None:
        """Audio up to here goes to an engine for the first time."""

    def carry_out(self, effects: list[Any]) -> None:
        for effect in effects:
            assert self.close is None, "an effect after the close"
            match effect:
                case OpenEngine(stream):
                    assert stream.start_sample == self.machine.committed_sample
                    self.engine = EngineTwin(stream)
                case SendAudio(audio):
                    assert self.engine is not None
                    if self.engine.received < self.heard_through:
                        assert self.engine.version == self.heard_by, "audio was recognised again by other weights"
                    self.engine.take(audio)
                    if self.engine.received > self.heard_through:
                        self.about_to_send(self.engine.received)
                    self.heard_through = max(self.heard_through, self.engine.received)
                    self.heard_by = self.engine.version
                case CutEngine(at_sample):
                    assert self.engine is not None
                    self.engine.cut(at_sample)
                case CancelEngine():
                    assert self.engine is not None
                    self.engine.is_over = True
                case SendToClient(FinalMessage() as final):
                    start, end = map(int, final.text.split("-"))
                    assert start >= self.told_end, "a word was told twice"
                    self.told_end = end
                case SendToClient(Ack() as ack):
                    assert ack.audio_ms >= self.acknowledged_ms, "an acknowledgement went back"
                    self.acknowledged_ms = ack.audio_ms
                    assert not self.confirmed & set(ack.finalized), "a finalize was confirmed twice"
                    self.confirmed |= set(ack.finalized)
                case CloseClient(reason):
                    self.close = reason

    def hear(self, event: StreamEvent) -> None:
        self.carry_out(self.machine.engine_event(event, self.now_ms))

    # --- the client ---

    @precondition(lambda self: not self.has_finished)
    @rule(num_samples=st.integers(1, 300))
    def audio(self, num_samples: int) -> None:
        if self.machine.is_closed or not self.machine.is_reading or num_samples > self.machine.room_samples:
            return
        self.carry_out(self.machine.client_audio(pcm(self.sent_by_client, num_samples), self.now_ms))
        self.sent_by_client += num_samples

    @precondition(lambda self: not self.has_finished and len(self.asked.keys() - self.confirmed) < 4)
    @rule()
    def finalize(self) -> None:
        if not self.machine.is_closed:
            name = str(len(self.asked))
            self.asked[name] = self.sent_by_client
            self.carry_out(self.machine.client_finalize(name, self.now_ms))

    @precondition(lambda self: self.sent_by_client > 1_500)
    @rule()
    def finish(self) -> None:
        self.has_finished = True
        self.carry_out(self.machine.client_finish(self.now_ms))

    # --- the engine ---

    def live_engine(self) -> EngineTwin | None:
        engine = self.engine
        return engine if engine is not None and engine.is_granted and not engine.is_over else None

    @rule(version=st.sampled_from(["v1", "v2"]), ignores_the_pin=st.integers(0, 9))
    def grant(self, version: str, ignores_the_pin: int) -> None:
        """By the version that was asked for, if one was; an engine of an older release does not look."""
        engine = self.engine
        if engine is None or engine.is_granted or engine.is_over:
            return
        engine.version = version if ignores_the_pin == 0 else engine.asked_version or version
        engine.is_granted = True
        self.hear(Granted(engine.epoch, "m", engine.version, WINDOW_SAMPLES))
        if engine.asked_version not in ("", engine.version):
            assert engine.is_over, "an engine that grants another version was not let go"

    @rule(reason=st.sampled_from(RefusalReason))
    def refuse(self, reason: RefusalReason) -> None:
        engine = self.engine
        if engine is None or engine.is_granted or engine.is_over:
            return
        is_first = self.machine.model_version == ""
        engine.is_over = True
        self.hear(Refused(engine.epoch, reason))
        if reason in FOR_GOOD and is_first:
            assert self.close is not None, "a new session waits for what no engine can give"
        elif reason in FOR_GOOD:
            assert self.close in (None, Reason.engine_unavailable), "a session under way was ended by one refusal"

    @rule(share=st.integers(0, 100))
    def progress(self, share: int) -> None:
        if (engine := self.live_engine()) is not None:
            limit = min([*engine.cuts, engine.received])
            engine.consumed = max(engine.consumed, engine.consumed + (limit - engine.consumed) * share // 100)
            self.spent(engine, 7)

    def spent(self, engine: EngineTwin, compute_us: int) -> None:
        self.hear(Progress(engine.epoch, engine.consumed, compute_us))

    @rule(share=st.integers(1, 100), has_words=st.booleans())
    def final(self, share: int, has_words: bool) -> None:
        """An utterance ends at a cut that all audio before it was consumed for, or anywhere before."""
        if (engine := self.live_engine()) is None:
            return
        if engine.cuts and engine.consumed == engine.cuts[0]:
            end = engine.cuts.pop(0)
        else:
            end = engine.utterance_start + (engine.consumed - engine.utterance_start) * share // 100
        if end <= engine.utterance_start:
            return
        text = f"{engine.utterance_start}-{end}"
        words = (Word(text, engine.utterance_start, end, 1.0),) if has_words else ()
        event = FinalResult(engine.epoch, engine.utterance_start, end, text, words, EndReason.pause_after_speech)
        engine.utterance_start = end
        self.hear(event)

    @rule()
    def partial(self) -> None:
        if (engine := self.live_engine()) is not None and engine.consumed > engine.utterance_start:
            self.hear(PartialResult(engine.epoch, engine.utterance_start, engine.consumed, "…", 0))

    @rule(reason=st.sampled_from(list(LossReason)))
    def lose(self, reason: LossReason) -> None:
        engine = self.engine
        if engine is not None and not engine.is_over:
            engine.is_over = True
            self.hear(Lost(engine.epoch, reason))

    @rule(ago=st.integers(1, 3))
    def say_something_stale(self, ago: int) -> None:
        if self.engine is not None and self.engine.epoch > ago:
            before = self.machine.committed_sample
            self.hear(FinalResult(self.engine.epoch - ago, before, before + 1, "", (), EndReason.finalize))
            assert self.machine.committed_sample == before

    # --- time ---

    @rule(ms=st.integers(1, 1_500))
    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        if self.machine.due_ms <= self.now_ms:
            self.carry_out(self.machine.timer(self.now_ms))

    # --- what must stay true ---

    @invariant()
    def held_audio_is_bounded_and_is_what_is_not_final(self) -> None:
        if not self.machine.is_closed:
            assert self.machine.held_samples <= CAPACITY_SAMPLES
            assert self.machine.held_samples == self.sent_by_client - self.machine.committed_sample
        else:
            assert self.machine.held_samples == 0

    @invariant()
    def a_session_that_is_finished_told_everything(self) -> None:
        assert self.machine.is_closed == (self.close is not None)
        if self.close is Reason.finished:
            assert self.machine.committed_sample == self.sent_by_client
            assert self.confirmed == self.asked.keys()

    @invariant()
    def an_engine_that_has_all_audio_before_a_cut_has_the_cut(self) -> None:
        engine = self.live_engine()
        if engine is None or self.machine.is_closed:
            return
        for name in self.asked.keys() - self.confirmed:
            assert engine.received < self.asked[name] or self.asked[name] in engine.all_cuts

    @invariant()
    def deadlines_are_never_forgotten(self) -> None:
        if not self.machine.is_closed:
            twin_due = self.machine.due_ms
            assert twin_due <= self.machine._next_deadline_ms()

    def teardown(self) -> None:
        """Left alone, every session ends by itself."""
        if self.engine is not None:
            self.engine.is_over = True
        for _ in range(2_000):
            if self.machine.is_closed:
                return
            self.now_ms = max(self.now_ms, self.machine.due_ms)
            self.carry_out(self.machine.timer(self.now_ms))
        raise AssertionError("a session without a living client or engine never ends")


class SessionShortOfCompute(SessionUnderFire):
    """The same, with a limiter that gives little, late or nothing, or is away."""

    def make_quota(self) -> SessionQuota:
        self.granted_us: int | None = 0
        self.settled_us: int | None = 0
        """What was granted for the audio that may be sent: while a session ends, later credit changes nothing."""
        self.consumed = 0
        self.charged_us = 0
        return SessionQuota(quota_rules(), QuotaUpdate(0), 0)

    def spent(self, engine: EngineTwin, compute_us: int) -> None:
        lost_at = self.quota._lost_at_sample
        if engine.consumed > lost_at and not self.machine.is_closed:
            self.consumed = max(self.consumed, engine.consumed)
            self.charged_us += compute_us
        super().spent(engine, compute_us)
        if not self.machine.is_closed:
            assert self.machine.used_so_far().compute_us == self.charged_us

    def about_to_send(self, end_sample: int) -> None:
        if self.settled_us is not None:
            price_us = -(-(end_sample - self.consumed) * US_PER_AUDIO_S // SAMPLE_RATE_HZ)
            assert price_us <= self.settled_us - self.charged_us, "audio went to an engine before it was paid for"

    @rule(more_us=st.integers(0, 60_000), is_short=st.booleans())
    def limiter_answers(self, more_us: int, is_short: bool) -> None:
        self.granted_us = max(self.granted_us or 0, self.charged_us) + more_us
        self.update(QuotaUpdate(self.granted_us, 5, Level.key, 700 if is_short else None))

    @rule()
    def limiter_goes_away(self) -> None:
        self.granted_us = None
        self.update(QuotaUpdate(None))

    def update(self, news: QuotaUpdate) -> None:
        if self.machine._ending is None or not self.machine._has_finished_sending:
            self.settled_us = self.granted_us
        self.carry_out(self.machine.quota_update(news, self.now_ms))
        used = self.machine.used_so_far()
        assert used.compute_us <= used.least_us <= used.wanted_us

    @invariant()
    def audio_that_is_paid_for_does_not_wait(self) -> None:
        engine = self.live_engine()
        if engine is None or self.machine.is_closed or engine.received >= engine.consumed + WINDOW_SAMPLES:
            return
        if self.machine._ending is not None:
            return  # what may still be sent was settled when the ending began, credit that comes later changes nothing
        if engine.received < self.heard_through <= self.quota.through_sample:
            raise AssertionError("what was sent before waits for credit when it is sent again")


class SessionThatFinishesWhenExhausted(SessionShortOfCompute):
    def make_quota(self) -> SessionQuota:
        super().make_quota()
        return SessionQuota(quota_rules(WhenExhausted.finish), QuotaUpdate(0), 0)

    @invariant()
    def held_audio_is_bounded_and_is_what_is_not_final(self) -> None:
        """Once it ends, what comes is not taken any more."""
        assert self.machine.held_samples <= min(CAPACITY_SAMPLES, self.sent_by_client - self.machine.committed_sample)

    @invariant()
    def exhaustion_ends_as_such(self) -> None:
        if self.close is Reason.quota_exhausted:
            assert self.machine.committed_sample <= max(self.heard_through, 0)


for case in (SessionUnderFire, SessionShortOfCompute, SessionThatFinishesWhenExhausted):
    case.TestCase.settings = settings(
        max_examples=150 if case is SessionUnderFire else 80,
        stateful_step_count=80,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
TestSessionUnderFire = SessionUnderFire.TestCase
TestSessionShortOfCompute = SessionShortOfCompute.TestCase
TestSessionThatFinishesWhenExhausted = SessionThatFinishesWhenExhausted.TestCase


def test_a_session_that_ends_may_send_what_was_granted_when_its_end_began_and_no_more() -> None:
    state = SessionThatFinishesWhenExhausted()
    state.audio(num_samples=1)
    state.limiter_answers(is_short=True, more_us=63)
    state.limiter_goes_away()
    state.limiter_answers(is_short=False, more_us=0)
    assert (state.settled_us, state.granted_us) == (63, 0)
    state.grant(ignores_the_pin=0, version="v1")
    assert state.engine is not None
    assert state.engine.received == 1
    state.teardown()
