"""One client's conversation: what it may send, which engine works for it, what it has been told.

A machine: inputs with `now_ms` go in, effects come out; it waits for nothing. These must stay true:
  - The finals a client gets tile its audio, whatever engines are lost on the way; each once, in order, never revised.
  - Audio is held from its arrival until its final, at most `holding.capacity_samples` of it, and no longer.
  - Audio that an engine was sent is sent again only to the same version of the same model.
  - Audio goes to engines only as far as compute was granted for it (gateway.session.quota).
  - Of a session that policy ends, no engine hears anything more from then on.
  - Every session that is opened is closed by exactly one CloseClient, with a reason.
  - `due_ms` is never later than the time at which `timer` has something to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import (
    BYTES_PER_SAMPLE,
    SAMPLES_PER_MS,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    PartialResult,
    Progress,
    Refused,
    SpeechStarted,
)
from gateway.errors import Reason
from gateway.session.alarm import Alarm
from gateway.session.effects import CloseClient, Figure, Measured, PauseClient, ResumeClient, SendToClient
from gateway.session.ending import STILL_SENDING_MS, Ending
from gateway.session.engine_side import EngineSide
from gateway.session.first_words import FirstWords
from gateway.session.replay_buffer import ReplayBuffer
from gateway.session.search import NEVER_MS
from gateway.session.state import SessionState
from gateway.session.upstream import Cut, Link
from gateway.wire.messages import Ack, AudioLost, Finished
from gateway.wire.refusal import error_message
from policies.backpressure import may_read

if TYPE_CHECKING:
    from engines.interface import StreamEvent
    from gateway.session.credit import QuotaUpdate, UsedSoFar
    from gateway.session.effects import Effect
    from gateway.session.identity import SessionIdentity
    from gateway.session.limits import SessionLimits
    from gateway.session.quota import SessionQuota


class SessionMachine:
    """Created when the client was admitted; `begin` gives the first effects."""

    def __init__(self, identity: SessionIdentity, limits: SessionLimits, quota: SessionQuota, now_ms: int) -> None:
        self._alarm = Alarm(now_ms)
        state = SessionState(identity, limits, quota, self._alarm)
        self._identity = identity
        self._limits = limits
        self._capacity_samples = limits.holding.capacity_samples
        self._quota = quota
        self._state = state
        self._buffer = state.buffer
        self._upstream = state.upstream
        self._transcript = state.transcript
        self._engines = EngineSide(state, now_ms)
        self._moves = self._engines.moves

        self.is_closed = False
        self.is_reading = True
        """Whether the client is read from; both are for the shell to read, not to write."""
        self._has_finished_sending = False
        self._heard_client_at_ms = now_ms
        self._first_words = FirstWords()
        self._end_at_ms = min(now_ms + limits.session_ms, identity.expires_at_ms)
        self._ending: Ending | None = None

    # --- what the shell may read ----------------------------------------------------------------

    @property
    def due_ms(self) -> int:
        """When `timer` has something to do at the latest."""
        return self._alarm.due_ms

    @property
    def held_samples(self) -> int:
        """Audio received and not final."""
        return self._buffer.held_samples

    @property
    def committed_sample(self) -> int:
        return self._transcript.committed_sample

    @property
    def recognised_samples(self) -> int:
        """Audio that became final here, not at another gateway."""
        return self._transcript.committed_sample - self._identity.origin.start_sample

    @property
    def end_sample(self) -> int:
        """Where the audio received so far ends."""
        return self._buffer.end_sample

    @property
    def room_samples(self) -> int:
        """How much more audio may be given now without passing the capacity."""
        return self._capacity_samples + self._buffer.start_sample - self._buffer.end_sample

    @property
    def compute_us(self) -> int:
        """Spent by engines in all, with what was spent on replays."""
        return self._quota.charged_us + self._quota.replayed_us

    @property
    def is_throttled(self) -> bool:
        """Whether audio waits for compute."""
        return self._quota.is_short and not self.is_closed

    def used_so_far(self) -> UsedSoFar:
        """Also right when the session is closed."""
        return self._quota.used_so_far(
            sent_sample=self._buffer.sent_sample,
            end_sample=self._buffer.end_sample,
            has_more=not self._has_finished_sending and not self.is_closed,
        )

    @property
    def model_version(self) -> str:
        """What recognises, or did last; empty before the first grant."""
        return self._state.pin.version

    @property
    def is_ending(self) -> bool:
        """Whether it ends soon, or has."""
        return self.is_closed or self._ending is not None or self._has_finished_sending

    # --- the client's inputs --------------------------------------------------------------------

    def begin(self, now_ms: int) -> list[Effect]:
        """Ask for the first engine."""
        return self._engines.begin(now_ms)

    def client_audio(self, pcm16: bytes, now_ms: int) -> list[Effect]:
        """Whole samples of 16 kHz mono PCM. The shell must not give more than `room_samples`: ValueError."""
        if self.is_closed or self._has_finished_sending:
            return []
        buffer = self._buffer
        if len(pcm16) // BYTES_PER_SAMPLE > self._capacity_samples + buffer.start_sample - buffer.end_sample:
            raise ValueError("audio beyond the room that the session has")
        self._heard_client_at_ms = now_ms
        if self._first_words.audio_at_ms is None:
            self._first_words.audio_at_ms = now_ms
        buffer.append(pcm16)
        effects = self._upstream.pump()
        self._engines.watch(now_ms)
        if self._moves.handover is not None:
            effects += self._moves.audio(pcm16, now_ms)
        if self._ending is not None and self._upstream.waits_for_credit:
            self._end_soon(now_ms)
        if self.is_reading and not self._may_read():
            self.is_reading = False
            effects.append(PauseClient())
        return effects

    def client_lost(self, start_sample: int, end_sample: int, now_ms: int) -> list[Effect]:
        """The audio between them is lost; what comes for it is silence. What is final already is not told again."""
        if self.is_closed or self._has_finished_sending:
            return []
        self._heard_client_at_ms = now_ms
        start_sample = max(start_sample, self._identity.origin.start_sample)
        if start_sample >= end_sample:
            return []
        lost = AudioLost(start_sample // SAMPLES_PER_MS, -(-end_sample // SAMPLES_PER_MS))
        if self._state.is_started:
            return [SendToClient(lost)]
        if self._state.losses.keep(lost):
            return []
        return self.end_now(Reason.client_too_slow, "the audio before the session has begun is full of gaps")

    def client_finalize(self, request_id: str, now_ms: int) -> list[Effect]:
        """Everything received so far is to become final; confirmed by an `ack` with the id."""
        if self.is_closed or self._has_finished_sending:
            return []
        self._heard_client_at_ms = now_ms
        if self._buffer.held_samples == 0:
            return [SendToClient(self._ack((request_id,)))]
        if sum(len(cut.ids) for cut in self._upstream.cuts) >= self._limits.pending_cuts:
            return self.end_now(
                Reason.unexpected_message,
                f"more than {self._limits.pending_cuts} finalize requests wait for their ack",
            )
        self._engines.add_cut(Cut(self._buffer.end_sample, now_ms, [request_id]))
        return self._engines.pump(now_ms)

    def client_finish(self, now_ms: int) -> list[Effect]:
        """No audio follows. Closes when the last final is out."""
        if self.is_closed or self._has_finished_sending:
            return []
        self._heard_client_at_ms = now_ms
        return self._finish_sending(now_ms)

    def client_keepalive(self, now_ms: int) -> list[Effect]:
        self._heard_client_at_ms = now_ms
        return []

    def client_gone(self) -> list[Effect]:
        """The connection is broken: nothing can be said any more."""
        if self.is_closed:
            return []
        return self._close(Reason.client_gone, [])

    # --- ends that are not the client's wish ------------------------------------------------------

    def end_now(
        self,
        reason: Reason,
        detail: str = "",
        *,
        retry_after_ms: int | None = None,
        level: str | None = None,
        gateways: tuple[str, ...] = (),
    ) -> list[Effect]:
        """Tell the client why and close; unfinalised audio is dropped, the client has no `ack` for it."""
        if self.is_closed:
            return []
        where = gateways or self._state.gateways_not_told
        return self._close(reason, [SendToClient(error_message(reason, detail, retry_after_ms, level, where))])

    def end_by_policy(
        self,
        reason: Reason,
        now_ms: int,
        detail: str = "",
        *,
        retry_after_ms: int | None = None,
        gateways: tuple[str, ...] = (),
    ) -> list[Effect]:
        """The session may not be here any more: what its engine has heard becomes final, and no engine hears another
        sample. Where none has heard anything, it ends now.
        """
        if self.is_closed or (self._ending is not None and self._ending.is_by_policy):
            return []
        self._ending = ending = Ending.by_policy(reason, detail, retry_after_ms, gateways, now_ms=now_ms)
        if self._upstream.link is not Link.granted:
            return self._end_for(ending)
        self._alarm.at(ending.close_at_ms)
        self._upstream.allowed_sample = self._buffer.sent_sample
        return [*self._engines.stay(), *self._finish_sending(now_ms)]

    def resumes_at(self, gateways: tuple[str, ...]) -> None:
        """Where the client may go on by the policy that holds; it hears so with `started`, or when the session ends."""
        self._state.resume_at = gateways

    def end_after_utterance(
        self,
        reason: Reason,
        now_ms: int,
        detail: str = "",
        *,
        retry_after_ms: int | None = None,
        level: str | None = None,
        grace_ms: int | None = None,
    ) -> list[Effect]:
        """Let the utterance under way become final, within `grace_ms`, or where that is None `ending_grace_ms`; then
        tell the client why and close.

        A drain has its own time, longer than any utterance, and its clients go on elsewhere: it waits for an end of the
        engine's own while audio comes, and cuts nobody's word. Nor is one cut of a session that is shed and can be gone
        on with: its client has the audio of all that is not final.
        """
        if self.is_closed or self._ending is not None:
            return []
        if self._buffer.held_samples == 0:
            return self.end_now(reason, detail, retry_after_ms=retry_after_ms, level=level)
        if grace_ms is None:
            grace_ms = self._limits.ending_grace_ms
        self._ending = Ending(reason, detail, retry_after_ms, now_ms + grace_ms, grace_ms=grace_ms, level=level)
        self._alarm.at(self._ending.cut_at_ms)
        effects = self._engines.stay()
        if self._transcript.is_inside_speech and not self._upstream.waits_for_credit:
            return effects
        if self._comes_to_its_own_end(self._ending, now_ms):
            self._ending.wait_on(now_ms)
            self._alarm.at(self._ending.cut_at_ms)
            return effects
        return effects + self._end_at_cut(self._ending, now_ms)

    def _comes_to_its_own_end(self, ending: Ending, now_ms: int) -> bool:
        if not ending.may_wait_for_an_end or self._has_finished_sending or self._upstream.waits_for_credit:
            return False
        return not self.is_reading or now_ms < self._heard_client_at_ms + STILL_SENDING_MS

    def _end_soon(self, now_ms: int) -> None:
        """No final will come by itself: the audio that would bring it cannot be paid for."""
        if self._ending is not None and not self._ending.is_cut:
            self._ending.cut_soon(now_ms)
            self._alarm.at(now_ms)

    def _end_at_cut(self, ending: Ending, now_ms: int) -> list[Effect]:
        """The grace is over, or nobody speaks."""
        if ending.needs_no_cut and self._identity.resume_token:
            return self._end_for(ending)
        ending.cut(now_ms)
        self._alarm.at(ending.close_at_ms)
        return self._finish_sending(now_ms)

    def _end_for(self, ending: Ending) -> list[Effect]:
        return self.end_now(
            ending.reason,
            ending.detail,
            retry_after_ms=ending.retry_after_ms,
            level=ending.level,
            gateways=ending.gateways,
        )

    # --- the limiter's input --------------------------------------------------------------------------

    def quota_update(self, update: QuotaUpdate, now_ms: int) -> list[Effect]:
        """Credit came, or did not. A limiter that is away ends nothing: it grants without a limit."""
        if self.is_closed:
            return []
        quota = self._quota
        quota.update(update, now_ms)
        self._follow_quota()
        effects = self._engines.pump(now_ms)
        if now_ms >= quota.finishes_at_ms:
            return effects + self._exhausted(now_ms)
        self._alarm.at(quota.finishes_at_ms)
        if self._state.is_started and quota.is_worth_telling(now_ms):
            effects.append(SendToClient(quota.usage(self._committed_ms())))
        return effects

    def _exhausted(self, now_ms: int) -> list[Effect]:
        quota = self._quota
        detail = f"the compute of the {quota.level or 'plan'} is used up"
        return self.end_after_utterance(
            Reason.quota_exhausted, now_ms, detail, retry_after_ms=quota.retry_after_ms, level=quota.level
        )

    def _follow_quota(self) -> None:
        """Once all that may be sent is known, credit changes nothing any more."""
        if self._ending is None or not self._has_finished_sending:
            self._upstream.allowed_sample = self._quota.through_sample

    # --- the engine's inputs ------------------------------------------------------------------------

    def engine_event(self, event: StreamEvent, now_ms: int, region: str = "") -> list[Effect]:
        """Events of an engine stream that is no longer current are dropped by their epoch. `region`: of a grant."""
        if self.is_closed:
            return []
        upstream = self._upstream
        if event.epoch != upstream.epoch:
            return [] if self._moves.handover is None else self._standby_event(event, now_ms, region)
        if upstream.link is Link.none:
            return []
        if type(event) is Progress:  # nearly all are
            return self._progress(event, now_ms)
        if type(event) is not MoveAway:  # which is said of an engine, not by it
            self._engines.answered()
        effects = self._heard(event, now_ms, region)
        self._engines.watch(now_ms)
        return effects

    def _standby_event(self, event: StreamEvent, now_ms: int, region: str) -> list[Effect]:
        effects = self._engines.standby_heard(event, now_ms, region)
        if isinstance(event, FinalResult) and event.epoch == self._upstream.epoch:
            effects += self._final(event, now_ms)  # it took over with this
        return effects

    def _heard(self, event: StreamEvent, now_ms: int, region: str) -> list[Effect]:
        match event:
            case Progress():
                return self._progress(event, now_ms)
            case PartialResult():
                shown: list[Effect] = [SendToClient(message) for message in self._transcript.partial(event)]
                return shown if self._first_words.are_shown else shown + self._first_words.shown(now_ms)
            case FinalResult():
                return self._final(event, now_ms)
            case SpeechStarted():
                return [SendToClient(message) for message in self._transcript.speech_started(event)]
            case Granted() | Refused() | Lost() | MoveAway():
                return self._unless_in_vain(self._engines.heard(event, now_ms, region))

    def _progress(self, event: Progress, now_ms: int) -> list[Effect]:
        self._quota.consumed(event.audio_through_sample, event.compute_us)
        self._follow_quota()
        return self._engines.progress(event.audio_through_sample, now_ms)

    def _final(self, event: FinalResult, now_ms: int) -> list[Effect]:
        if event.end_sample <= self._transcript.committed_sample:
            return []
        is_contiguous = event.start_sample == self._transcript.committed_sample
        if not is_contiguous or event.end_sample > self._buffer.sent_sample:
            return self._unless_in_vain(self._engines.lost(LossReason.protocol_broken, now_ms))
        self._engines.search.proven()
        effects: list[Effect] = [SendToClient(message) for message in self._transcript.final(event)]
        if event.words:
            effects += self._first_words.shown(now_ms)
        self._buffer.release(event.end_sample)
        self._upstream.consumed(event.end_sample)
        cuts = self._upstream.confirmed_cuts(event.end_sample)
        effects.append(SendToClient(self._ack(tuple(name for cut in cuts for name in cut.ids))))
        effects += [Measured(Figure.finalisation_elapsed_ms, now_ms - cut.asked_at_ms) for cut in cuts]
        effects += self._state.commit_point()
        if self._has_finished_sending and self._buffer.held_samples == 0:
            return effects + self._all_done()
        if self._ending is not None:
            return effects + self._end_for(self._ending)
        if not self.is_reading and self._may_read():
            self.is_reading = True
            self._heard_client_at_ms = now_ms
            self._alarm.at(now_ms + self._limits.idle_ms)
            effects.append(ResumeClient())
        return effects + self._engines.committed(now_ms)

    def _unless_in_vain(self, effects: list[Effect]) -> list[Effect]:
        """What was done about the engine; or there is none for this session, and it ends."""
        if self._ending is not None and self._ending.is_by_policy and self._upstream.link is not Link.granted:
            return self._end_for(self._ending)  # before another one is opened
        vain = self._engines.vain
        if vain is None:
            return effects
        return effects + self.end_now(vain.reason, vain.detail, retry_after_ms=vain.retry_after_ms)

    # --- time ---------------------------------------------------------------------------------------

    def timer(self, now_ms: int) -> list[Effect]:
        """Do what is due; sets `due_ms` anew."""
        if self.is_closed:
            return []
        effects = self._expire(now_ms)
        if not self.is_closed:
            self._alarm.due_ms = self._next_deadline_ms()
        return effects

    def _expire(self, now_ms: int) -> list[Effect]:
        ending = self._ending
        if ending is not None and now_ms >= ending.close_at_ms:
            return self._end_for(ending)
        if ending is not None and now_ms >= ending.cut_at_ms:
            if self._comes_to_its_own_end(ending, now_ms):
                ending.wait_on(now_ms)
                return []
            return self._end_at_cut(ending, now_ms)
        if ending is None and now_ms >= self._end_at_ms:
            is_expired = self._identity.expires_at_ms <= now_ms
            return self.end_after_utterance(Reason.token_expired if is_expired else Reason.session_too_long, now_ms)
        if ending is None and now_ms >= self._quota.finishes_at_ms:
            return self._exhausted(now_ms)
        if self._is_client_idle(now_ms):
            return self.end_now(Reason.idle_timeout)
        return self._unless_in_vain(self._engines.expire(now_ms))

    def _next_deadline_ms(self) -> int:
        ending = self._ending
        deadlines = [min(self._end_at_ms, self._quota.finishes_at_ms) if ending is None else ending.next_ms]
        if self.is_reading and not self._has_finished_sending:
            deadlines.append(self._heard_client_at_ms + self._limits.idle_ms)
        deadlines.append(self._engines.next_ms)
        return min(deadlines)

    # --- parts --------------------------------------------------------------------------------------

    def _finish_sending(self, now_ms: int) -> list[Effect]:
        """The last cut: behind all audio, or, where the session must end, behind all that may be sent."""
        is_first = not self._has_finished_sending
        self._has_finished_sending = True
        if self._buffer.held_samples == 0:
            return self._all_done()
        end_sample = self._buffer.end_sample if self._ending is None else self._upstream.end_at_allowed()
        if end_sample == self._transcript.committed_sample and self._ending is not None:
            return self._end_for(self._ending)
        if is_first or end_sample < self._buffer.end_sample:
            self._engines.add_cut(Cut(end_sample, now_ms, [], is_last=True))
        return self._engines.pump(now_ms)

    def _all_done(self) -> list[Effect]:
        if self._ending is not None:
            return self._end_for(self._ending)
        audio_ms = self._committed_ms()
        return self._close(
            Reason.finished, [SendToClient(self._quota.usage(audio_ms)), SendToClient(Finished(audio_ms))]
        )

    def _close(self, reason: Reason, last_words: list[Effect]) -> list[Effect]:
        self.is_closed = True
        self._alarm.due_ms = NEVER_MS
        self._buffer.adopt(ReplayBuffer(self._buffer.end_sample))  # the audio is gone from here on
        return [*self._engines.close(), *last_words, CloseClient(reason)]

    def _may_read(self) -> bool:
        return may_read(held_samples=self._buffer.held_samples, is_reading=self.is_reading, limits=self._limits.holding)

    def _is_client_idle(self, now_ms: int) -> bool:
        if not self.is_reading or self._has_finished_sending:
            return False
        return now_ms >= self._heard_client_at_ms + self._limits.idle_ms

    def _ack(self, finalized: tuple[str, ...]) -> Ack:
        return Ack(self._committed_ms(), finalized, self._transcript.committed_sample)

    def _committed_ms(self) -> int:
        return self._transcript.committed_sample // SAMPLES_PER_MS
