"""A session's engine: searched for, watched while it works, replaced when it is lost, left when that is wished.

Pure. These must stay true:
  - There is one engine stream whose results count, or none.
  - Audio that an engine was sent is sent again only to the same version of the same model.
  - An engine that owes an answer has its full time for it, from when it began to owe or last said something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import (
    SAMPLES_PER_MS,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    RefusalReason,
    Refused,
)
from gateway.errors import Reason
from gateway.session.effects import CancelEngine, EngineLost, Figure, Measured, OpenEngine, SendToClient
from gateway.session.moves import PlannedMoves
from gateway.session.search import NEVER_MS, EngineSearch, InVain
from gateway.session.slowness import Slowness
from gateway.session.upstream import Link

if TYPE_CHECKING:
    from engines.interface import StreamEvent
    from gateway.session.effects import Effect
    from gateway.session.handover import Handover
    from gateway.session.state import SessionState
    from gateway.session.upstream import Cut

_REFUSED_FOR_GOOD = {
    RefusalReason.unknown_model: Reason.unknown_model,
    RefusalReason.unsupported_language: Reason.unsupported_language,
    RefusalReason.bad_options: Reason.bad_option,
}


class EngineSide:
    """`vain` is set when the session must end for want of an engine: who calls looks at it after what may set it."""

    __slots__ = (
        "_full_samples",
        "_is_behind",
        "_leave_slow_at_ms",
        "_liveness_ms",
        "_may_move",
        "_owed_since_ms",
        "_replay_end_sample",
        "_slowness",
        "_stall_samples",
        "_state",
        "_upstream",
        "moves",
        "search",
        "vain",
    )

    def __init__(self, state: SessionState, now_ms: int) -> None:
        limits = state.limits
        self._state = state
        self._upstream = state.upstream
        self._liveness_ms = limits.liveness_ms
        self._stall_samples = limits.stall_samples
        self._full_samples = limits.holding.high_water_samples
        self.search = EngineSearch(limits, jitter_permille=state.identity.jitter_permille, now_ms=now_ms)
        self.moves = PlannedMoves(state)
        self.vain: InVain | None = None
        self._may_move = True
        self._owed_since_ms: int | None = None
        self._slowness = Slowness(limits.slowness, now_ms)
        self._is_behind = False
        self._leave_slow_at_ms = NEVER_MS
        self._replay_end_sample = state.buffer.start_sample
        """Audio before this was there when the engine took over."""

    def begin(self, now_ms: int) -> list[Effect]:
        """Ask for the first engine."""
        return self._ask(now_ms)

    # --- what it is sent ------------------------------------------------------------------------------

    def pump(self, now_ms: int) -> list[Effect]:
        """Send what may be sent now."""
        effects = self._upstream.pump()
        self.watch(now_ms)
        if self.moves.handover is not None:
            effects += self.moves.pump(now_ms)
        return effects

    def progress(self, through_sample: int, now_ms: int) -> list[Effect]:
        """The engine is done with the audio before this."""
        self._owed_since_ms = None
        self._upstream.consumed(through_sample)
        effects = self._upstream.pump()
        self.watch(now_ms)
        if self.moves.handover is not None:
            effects += self.moves.pump(now_ms)
        return effects

    def add_cut(self, cut: Cut) -> None:
        """An utterance is to end there, whoever recognises it."""
        self._upstream.add_cut(cut)
        self.moves.add_cut(cut)

    def committed(self, now_ms: int) -> list[Effect]:
        """A final was told: send what may be sent now, to whom it may be sent. An engine outside the policy set hears
        nothing beyond it.
        """
        effects: list[Effect] = []
        handover = self.moves.handover
        if handover is not None and handover.reason is MoveReason.outside_policy:
            return self._time_is_out(handover, now_ms)
        if handover is not None:
            effects = self._settled(self._upstream.epoch, self.moves.committed(now_ms), now_ms)
        return effects + self.pump(now_ms)

    # --- what it says, except results -------------------------------------------------------------------

    def heard(self, event: Granted | Refused | Lost | MoveAway, now_ms: int, region: str) -> list[Effect]:
        """Of the current epoch. `region`: of a grant."""
        match event:
            case Granted():
                return self._granted(event, now_ms, region)
            case Refused():
                return self._refused(event, now_ms)
            case Lost():
                return self.lost(event.reason, now_ms, is_gone=True)
            case MoveAway():
                return self._move_away(event, now_ms)

    def _granted(self, event: Granted, now_ms: int, region: str) -> list[Effect]:
        state = self._state
        if not state.pin.admits(event):
            return [CancelEngine(), *self._refused(Refused(event.epoch, RefusalReason.unknown_model), now_ms)]
        state.pin.granted(event)
        effects: list[Effect] = []
        pause_ms = self.search.waited_ms(now_ms)
        if not state.is_started:
            state.is_started = True
            effects += [SendToClient(state.started(event, region)), Measured(Figure.open_elapsed_ms, pause_ms)]
            effects += map(SendToClient, state.losses.tell())
        elif (why := self.search.loss) is not None:
            held_samples = state.buffer.held_samples
            told = state.migrated(why.value, event, region, replayed_samples=held_samples, pause_ms=pause_ms)
            effects += [SendToClient(told), Measured(Figure.migration_pause_elapsed_ms, pause_ms)]
        self.search.found()
        self._replay_end_sample = state.buffer.end_sample
        self._upstream.granted(event)
        return effects + state.commit_point() + self.pump(now_ms)

    def _refused(self, event: Refused, now_ms: int) -> list[Effect]:
        """A new session hears at once what no engine can give. One under way had an engine that could: it looks on,
        as its version may be on its way up elsewhere.
        """
        self._upstream.lost()
        if self._state.is_new and event.reason in _REFUSED_FOR_GOOD:
            self.vain = InVain(_REFUSED_FOR_GOOD[event.reason], event.detail)
            return []
        self.search.refused(event)
        return self._look_on(now_ms)

    def lost(self, reason: LossReason, now_ms: int, *, is_gone: bool = False) -> list[Effect]:
        """The engine died, went silent or broke the rules: everything unfinalised goes to the next one, which may stand
        by. `is_gone`: its stream is over; otherwise it is let go.
        """
        was_granted = self._upstream.link is Link.granted
        effects: list[Effect] = [] if is_gone else [CancelEngine(reason)]
        handover = self.moves.handover
        if handover is not None and self.moves.is_ready:
            self.search.losses += 1
            effects.append(EngineLost(reason, 0, self.search.losses))
            epoch = self._upstream.epoch
            return effects + self._settled(epoch, self.moves.switch(handover, now_ms), now_ms)
        effects += self.moves.end()
        self._without_engine()
        if was_granted:
            self.search.lost(reason, now_ms)
            held_ms = self._state.buffer.held_samples // SAMPLES_PER_MS
            effects.append(EngineLost(reason, held_ms, self.search.losses))
        return effects + self._look_on(now_ms)

    def _without_engine(self) -> None:
        self._upstream.lost()
        self._state.quota.engine_lost()
        self._forget()

    def _forget(self) -> None:
        """What was noted of the last engine does not count any more."""
        self._owed_since_ms = None
        self._leave_slow_at_ms = NEVER_MS
        self._keeps_up()

    # --- planned moves ----------------------------------------------------------------------------------

    def standby_heard(self, event: StreamEvent, now_ms: int, region: str) -> list[Effect]:
        """An event of another epoch than the current one; see PlannedMoves.heard."""
        return self._settled(self._upstream.epoch, self.moves.heard(event, now_ms, region), now_ms)

    def _settled(self, epoch: int, effects: list[Effect], now_ms: int) -> list[Effect]:
        """If another stream is current than that of `epoch`, it is the engine's from here on."""
        if self._upstream.epoch == epoch:
            return effects
        self.search.found()
        self._forget()
        self._replay_end_sample = max(self._replay_end_sample, self._state.buffer.end_sample)
        return effects + self.pump(now_ms)

    def _move_away(self, event: MoveAway, now_ms: int) -> list[Effect]:
        """A session that must end does not move: its end is near enough."""
        if not self._may_move or event.within_ms <= 0 or self._upstream.link is not Link.granted:
            return []
        self._leave_slow_at_ms = NEVER_MS
        self._keeps_up()
        return self.moves.begin(event.reason, event.within_ms, now_ms)

    def stay(self) -> list[Effect]:
        """The session will end soon: it goes elsewhere only if it loses its engine."""
        self._may_move = False
        self._leave_slow_at_ms = NEVER_MS
        return self.moves.end()

    def _time_is_out(self, handover: Handover, now_ms: int) -> list[Effect]:
        """The standby is taken as far as it is. Without one the engine is kept as long as it lives, and may be."""
        if self.moves.is_ready:
            return self._settled(self._upstream.epoch, self.moves.leave(handover, now_ms), now_ms)
        effects = self.moves.end()
        if handover.reason is not MoveReason.outside_policy:
            return effects
        self._without_engine()
        self.search.left(handover.reason, now_ms)
        return [*effects, CancelEngine(), *self._look_on(now_ms)]

    # --- time -------------------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> list[Effect]:
        """Do what is due."""
        if self._upstream.link is not Link.granted:
            return self._look_on(now_ms)
        if self._owed_since_ms is not None and now_ms >= self._owed_since_ms + self._liveness_ms:
            return self.lost(LossReason.silent, now_ms)
        if (handover := self.moves.handover) is not None:
            if now_ms >= handover.until_ms:
                return self._time_is_out(handover, now_ms)
            return self.moves.expire(handover, now_ms)
        if now_ms >= self._leave_slow_at_ms:
            self._leave_slow_at_ms = NEVER_MS
            self._slowness.rest(now_ms)
            return self.moves.begin(MoveReason.engine_slow, self._state.limits.slowness.move_within_ms, now_ms)
        return []

    def _look_on(self, now_ms: int) -> list[Effect]:
        """Without an engine: ask again when it is time, or give up."""
        search, is_asked = self.search, self._upstream.link is Link.asked
        if (vain := search.in_vain(now_ms, is_opening=not self._state.is_started)) is not None:
            self.vain = vain
            return []
        if is_asked:
            if now_ms < search.asked_at_ms + self._liveness_ms:
                return []
            self._upstream.lost()
            return [CancelEngine(LossReason.silent), *self._look_on(now_ms)]
        if search.ask_again_at_ms == NEVER_MS:
            if search.plan_next(now_ms):
                return self._ask(now_ms)
            self._state.alarm.at(search.ask_again_at_ms)
        return self._ask(now_ms) if now_ms >= search.ask_again_at_ms else []

    def _ask(self, now_ms: int) -> list[Effect]:
        state = self._state
        self.search.asked(now_ms)
        state.alarm.at(now_ms + self._liveness_ms)
        stream = state.next_stream(state.pin.options(held_samples=state.buffer.held_samples))
        self._upstream.ask(stream.epoch)
        return [OpenEngine(stream)]

    @property
    def next_ms(self) -> int:
        """When something is to be done."""
        if self._upstream.link is Link.granted:
            owed_ms = NEVER_MS if self._owed_since_ms is None else self._owed_since_ms + self._liveness_ms
            return min(owed_ms, self._leave_slow_at_ms, self.moves.next_ms)
        is_asked = self._upstream.link is Link.asked
        next_ms = self.search.asked_at_ms + self._liveness_ms if is_asked else self.search.ask_again_at_ms
        return min(next_ms, self.search.give_up_at_ms(is_opening=not self._state.is_started))

    def answered(self) -> None:
        """Its time to answer begins anew; `watch` or `pump` must follow."""
        self._owed_since_ms = None

    def watch(self, now_ms: int) -> None:
        """After what may have changed what it owes: it has `liveness_ms` for it, from when it began to owe."""
        if not self._upstream.owes_an_answer(stall_samples=self._stall_samples, full_samples=self._full_samples):
            self._owed_since_ms = None
            if self._is_behind:
                self._keeps_up()
            return
        if self._owed_since_ms is None:
            self._owed_since_ms = now_ms
            self._state.alarm.at(now_ms + self._liveness_ms)
        if self.moves.handover is None and self._may_move:
            self._judge(now_ms)

    def _judge(self, now_ms: int) -> None:
        """A slow engine is left, in a turn of its own."""
        consumed_sample = self._upstream.consumed_sample
        if self._state.buffer.sent_sample - consumed_sample <= self._stall_samples:
            self._keeps_up()
            return
        self._is_behind = True
        is_replaying = consumed_sample < self._replay_end_sample
        if self._slowness.is_slow(consumed_sample, now_ms, is_replaying=is_replaying):
            self._leave_slow_at_ms = now_ms
            self._state.alarm.at(now_ms)

    def _keeps_up(self) -> None:
        self._is_behind = False
        self._slowness.keeps_up()

    def close(self) -> list[Effect]:
        """The session is over: let every engine go."""
        effects: list[Effect] = [] if self._upstream.link is Link.none else [CancelEngine()]
        self._upstream.link = Link.none
        return effects + self.moves.end()
