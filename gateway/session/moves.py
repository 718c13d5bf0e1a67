"""Planned moves of a session: make before break. A standby hears what the engine hears; caught up, it takes over.

Pure. These must stay true:
  - Results count from one stream only: the engine's until the switch, the standby's after it.
  - The engine's stream is let go only when the standby can go on: it is granted, and what it was not sent yet is held.
  - What the standby spends until the switch is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import (
    SAMPLES_PER_MS,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    Progress,
    Refused,
)
from gateway.session.effects import (
    CancelEngine,
    CancelStandby,
    EngineMoved,
    OpenStandby,
    SendToClient,
    SwitchToStandby,
)
from gateway.session.handover import Handover
from gateway.session.search import NEVER_MS
from gateway.session.standby import Standby

if TYPE_CHECKING:
    from engines.interface import StreamEvent
    from gateway.session.effects import Effect
    from gateway.session.state import SessionState
    from gateway.session.upstream import Cut


class PlannedMoves:
    """At most one at a time, `handover`. After each call that gives effects the current epoch may be another one: then
    the standby has taken over, and who calls sends it what it may have.
    """

    __slots__ = ("_state", "handover")

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self.handover: Handover | None = None

    def begin(self, reason: MoveReason, within_ms: int, now_ms: int) -> list[Effect]:
        """Look for another engine. Of two wishes the earlier deadline counts, and policy's reason."""
        if self.handover is None:
            self.handover = Handover(
                reason,
                self._state.limits,
                until_ms=now_ms + within_ms,
                now_ms=now_ms,
                jitter_permille=self._state.identity.jitter_permille,
            )
            return self._ask(self.handover, now_ms)
        if reason is MoveReason.outside_policy:
            self.handover.reason = reason
        self.handover.until_ms = min(self.handover.until_ms, now_ms + within_ms)
        self._state.alarm.at(self.handover.until_ms)
        return []

    def _ask(self, handover: Handover, now_ms: int) -> list[Effect]:
        state = self._state
        stream = state.next_stream(state.pin.standby_options(held_samples=state.buffer.held_samples))
        buffer = state.buffer.fork()
        standby = Standby(state.upstream.fork(buffer), buffer, state.limits, epoch=stream.epoch, now_ms=now_ms)
        handover.asked(standby, now_ms)
        state.alarm.at(handover.next_ms)
        return [OpenStandby(stream)]

    def end(self) -> list[Effect]:
        """The session stays where it is."""
        handover, self.handover = self.handover, None
        return [] if handover is None or handover.standby is None else [CancelStandby()]

    @property
    def is_ready(self) -> bool:
        """Whether a standby could take over now."""
        return self.handover is not None and self.handover.is_ready(self._state.transcript.committed_sample)

    @property
    def next_ms(self) -> int:
        """When something is to be done."""
        return NEVER_MS if self.handover is None else self.handover.next_ms

    # --- what the standby hears -------------------------------------------------------------------------

    def audio(self, pcm16: bytes, now_ms: int) -> list[Effect]:
        """The session's buffer got this; the standby is to have it too."""
        if self.handover is None or self.handover.standby is None:
            return []
        self.handover.standby.buffer.append(pcm16)
        return self.pump(now_ms)

    def add_cut(self, cut: Cut) -> None:
        if self.handover is not None and self.handover.standby is not None:
            self.handover.standby.upstream.add_cut(cut.unsent())

    def pump(self, now_ms: int) -> list[Effect]:
        """Send the standby what it may have."""
        handover = self.handover
        if handover is None or handover.standby is None:
            return []
        effects = handover.standby.pump(self._state.upstream.allowed_sample, now_ms)
        self._state.alarm.at(handover.next_ms)
        return effects

    def committed(self, now_ms: int) -> list[Effect]:
        """A final of the engine: what is before it is held no longer than the standby needs it."""
        handover = self.handover
        if handover is None or (standby := handover.standby) is None:
            return []
        standby.keep_from(self._state.transcript.committed_sample)
        if standby.buffer.held_samples <= self._state.limits.holding.capacity_samples:
            return self._switch_if_caught_up(handover, standby, now_ms)
        return self._miss(handover, now_ms)  # it is so far behind that the next one begins nearer to the end

    def _miss(self, handover: Handover, now_ms: int) -> list[Effect]:
        handover.missed(now_ms)
        self._state.alarm.at(handover.next_ms)
        return [CancelStandby()]

    # --- what the standby says --------------------------------------------------------------------------

    def heard(self, event: StreamEvent, now_ms: int, region: str) -> list[Effect]:
        """An event of another epoch than the current one. If it is the standby's, and a final that the engine has not
        given, then the standby is ahead: it takes over, and the final is one of the current epoch.
        """
        handover = self.handover
        if handover is None or (standby := handover.standby) is None or event.epoch != standby.upstream.epoch:
            return []
        standby.said_something()
        effects = self._take(handover, standby, event, now_ms, region)
        effects += self.pump(now_ms)
        self._state.alarm.at(self.next_ms)
        return effects

    def _take(self, handover: Handover, standby: Standby, event: StreamEvent, now_ms: int, region: str) -> list[Effect]:
        match event:
            case Progress():
                self._state.quota.standby_consumed(event.compute_us)
                standby.upstream.consumed(event.audio_through_sample)
                return self._switch_if_caught_up(handover, standby, now_ms)
            case FinalResult():
                return self._final(handover, standby, event, now_ms)
            case Granted():
                has_heard = self._state.buffer.sent_sample > standby.start_sample
                if not self._state.pin.admits_standby(event, has_heard=has_heard):
                    return self._miss(handover, now_ms)
                standby.granted(event, region)
                return self._switch_if_caught_up(handover, standby, now_ms)
            case Refused():
                handover.refused(event, now_ms)
            case Lost():
                handover.lost(now_ms)
            case MoveAway():  # not there, then
                return self._miss(handover, now_ms)
        return []  # the client sees the partials of the engine

    def _final(self, handover: Handover, standby: Standby, event: FinalResult, now_ms: int) -> list[Effect]:
        committed_sample = self._state.transcript.committed_sample
        if not standby.admits_final(event, committed_sample):
            handover.lost(now_ms)
            return [CancelStandby(LossReason.protocol_broken)]
        if event.end_sample > committed_sample:
            return self.leave(handover, now_ms)
        standby.final(event)
        return self._switch_if_caught_up(handover, standby, now_ms)

    # --- the switch -------------------------------------------------------------------------------------

    def _switch_if_caught_up(self, handover: Handover, standby: Standby, now_ms: int) -> list[Effect]:
        state = self._state
        if not standby.has_caught_up(state.transcript.committed_sample, state.upstream.consumed_sample):
            return []
        return self.leave(handover, now_ms)

    def leave(self, handover: Handover, now_ms: int) -> list[Effect]:
        """A standby is ready: go on with it, and let the engine go."""
        why = LossReason.slow if handover.reason is MoveReason.engine_slow else None
        return [CancelEngine(why), *self.switch(handover, now_ms)]

    def switch(self, handover: Handover, now_ms: int) -> list[Effect]:
        """A standby is ready, and the engine's stream is over."""
        state, standby = self._state, handover.standby
        if standby is None or standby.grant is None:
            raise RuntimeError("a switch to a standby that was not granted")
        self.handover = None
        heard_sample = min(state.buffer.sent_sample, standby.buffer.sent_sample)
        replayed_samples = max(0, heard_sample - standby.start_sample)
        standby.keep_from(state.transcript.committed_sample)
        state.buffer.adopt(standby.buffer)
        state.upstream.adopt(standby.upstream)
        state.pin.granted(standby.grant)
        state.quota.engine_replaced(state.upstream.consumed_sample)
        why = handover.reason
        told = state.migrated(why.value, standby.grant, standby.region, replayed_samples=replayed_samples, pause_ms=0)
        moved = EngineMoved(why, replayed_samples // SAMPLES_PER_MS, now_ms - handover.since_ms)
        return [SwitchToStandby(), SendToClient(told), moved, *state.commit_point()]

    # --- time -------------------------------------------------------------------------------------------

    def expire(self, handover: Handover, now_ms: int) -> list[Effect]:
        """Do what is due before the deadline."""
        if now_ms >= handover.ask_at_ms:
            return self._ask(handover, now_ms)
        standby = handover.standby
        if standby is None or standby.silent_at_ms is None or now_ms < standby.silent_at_ms:
            return []
        handover.lost(now_ms)
        return [CancelStandby(LossReason.silent)]
