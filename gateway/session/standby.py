"""A second engine stream of a session: it hears what the first one hears, and is to take over. Pure.

These must stay true: it is sent the audio and the cuts that the first stream is sent, from the commit point at which it
was opened; what the first stream has made final is held for it only until it was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.session.effects import CutEngine, SendAudio, StandbyAudio, StandbyCut
from gateway.session.upstream import Link

if TYPE_CHECKING:
    from engines.interface import FinalResult, Granted
    from gateway.session.effects import Effect
    from gateway.session.limits import SessionLimits
    from gateway.session.replay_buffer import ReplayBuffer
    from gateway.session.upstream import Upstream


class Standby:
    """Opened when it is made. `buffer` and `upstream` are forks of the session's own, which take their place later."""

    __slots__ = (
        "_asked_at_ms",
        "_finals_end_sample",
        "_full_samples",
        "_liveness_ms",
        "_owed_since_ms",
        "_stall_samples",
        "buffer",
        "grant",
        "region",
        "start_sample",
        "upstream",
    )

    def __init__(
        self, upstream: Upstream, buffer: ReplayBuffer, limits: SessionLimits, *, epoch: int, now_ms: int
    ) -> None:
        upstream.ask(epoch)
        self.upstream = upstream
        self.buffer = buffer
        self.start_sample = buffer.start_sample
        self.grant: Granted | None = None
        self.region = ""
        self._finals_end_sample = buffer.start_sample
        self._asked_at_ms = now_ms
        self._owed_since_ms: int | None = None
        self._liveness_ms = limits.liveness_ms
        self._stall_samples = limits.stall_samples
        self._full_samples = limits.holding.high_water_samples

    def granted(self, event: Granted, region: str) -> None:
        self.grant = event
        self.region = region
        self.upstream.granted(event)

    def pump(self, allowed_sample: int, now_ms: int) -> list[Effect]:
        """Send it what it may have."""
        self.upstream.allowed_sample = allowed_sample
        effects: list[Effect] = []
        for effect in self.upstream.pump():
            if type(effect) is SendAudio:
                effects.append(StandbyAudio(effect.pcm16))
            elif type(effect) is CutEngine:
                effects.append(StandbyCut(effect.at_sample, effect.is_last))
        if not self.upstream.owes_an_answer(stall_samples=self._stall_samples, full_samples=self._full_samples):
            self._owed_since_ms = None
        elif self._owed_since_ms is None:
            self._owed_since_ms = now_ms
        return effects

    def said_something(self) -> None:
        """Its time to answer begins anew."""
        self._owed_since_ms = None

    @property
    def silent_at_ms(self) -> int | None:
        """When it has owed an answer for too long."""
        if self.upstream.link is Link.asked:
            return self._asked_at_ms + self._liveness_ms
        return None if self._owed_since_ms is None else self._owed_since_ms + self._liveness_ms

    def admits_final(self, event: FinalResult, committed_sample: int) -> bool:
        """Whether the final may be the next of its stream. One that ends behind the commit point begins there."""
        if event.start_sample != self._finals_end_sample or event.end_sample > self.buffer.sent_sample:
            return False
        return event.end_sample <= committed_sample or event.start_sample == committed_sample

    def final(self, event: FinalResult) -> None:
        """Told to the client by the first stream before."""
        self._finals_end_sample = event.end_sample
        self.upstream.consumed(event.end_sample)
        self.upstream.confirmed_cuts(event.end_sample)

    def keep_from(self, committed_sample: int) -> None:
        """Audio before it is final: it is held only where the standby was not sent it yet."""
        self.buffer.release(max(self.buffer.start_sample, min(self.buffer.sent_sample, committed_sample)))

    def is_ready(self, committed_sample: int) -> bool:
        """Whether it could take over: what it was not sent yet is held in any case."""
        return self.upstream.link is Link.granted and self.buffer.sent_sample >= committed_sample

    def has_caught_up(self, committed_sample: int, consumed_sample: int) -> bool:
        """With a first stream that has consumed the audio before `consumed_sample`; or nothing is left to do."""
        if not self.is_ready(committed_sample):
            return False
        return self.upstream.consumed_sample >= consumed_sample or self.buffer.end_sample == committed_sample
