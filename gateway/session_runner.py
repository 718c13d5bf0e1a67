"""Drives one session's machine: inputs in, effects out, and nothing waits in between.

One step is one step: between asking the machine and carrying out the last of its effects there is no await. Effects
fill bounded queues (the client's queue, the engine link's); writer tasks do the waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engines.interface import SAMPLES_PER_MS, Granted
from gateway.errors import Reason, SessionRefused
from gateway.session.effects import (
    CancelEngine,
    CancelStandby,
    CloseClient,
    Committed,
    CutEngine,
    EngineLost,
    EngineMoved,
    Figure,
    Measured,
    OpenEngine,
    OpenStandby,
    PauseClient,
    ResumeClient,
    SendAudio,
    SendToClient,
    StandbyAudio,
    StandbyCut,
    SwitchToStandby,
)
from gateway.session_inbound import SessionInbound
from gateway.wire.refusal import gateways_of, level_of
from regions.explained import ruled_out_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import Span
    from structlog.typing import FilteringBoundLogger

    from engines.interface import LossReason, StreamEvent
    from gateway.audio.interface import AudioDecoder, GapExtent
    from gateway.client_queue import ClientQueue
    from gateway.metrics import GatewayMetrics
    from gateway.resumption.skipping import SkippedHead
    from gateway.session.commits import SessionCommits
    from gateway.session.credit import QuotaUpdate, UsedSoFar
    from gateway.session.effects import Effect
    from gateway.session.machine import SessionMachine
    from gateway.wire.messages import ClientMessage
    from policies.facts import AudioFormat
    from policies.residency.permitted import Permitted
    from regions.links.interface import EngineStream
    from regions.placing import SessionPool, Shed


class ClientPort(Protocol):
    """The transport's half of flow control."""

    def pause(self) -> None:
        """Stop reading from the client's connection; what was read already may still come."""

    def resume(self) -> None:
        """Read on."""


class Observers:
    """Where a session's figures, log lines and trace go; one set a session, all bound to it."""

    __slots__ = ("log", "metrics", "span", "transport")

    def __init__(self, metrics: GatewayMetrics, log: FilteringBoundLogger, span: Span, transport: str) -> None:
        self.metrics = metrics
        self.log = log
        self.span = span
        self.transport = transport


class SessionRunner:
    """One live session. Also the sink of its inbound pipeline."""

    def __init__(
        self,
        machine: SessionMachine,
        pool: SessionPool,
        queue: ClientQueue,
        port: ClientPort,
        observers: Observers,
        *,
        now_ms: Callable[[], int],
        on_closed: Callable[[SessionRunner], None],
    ) -> None:
        self.machine = machine
        self.queue = queue
        self._pool = pool
        self._commits: SessionCommits | None = None
        self._port = port
        self._observers = observers
        self._now_ms = now_ms
        self._on_closed = on_closed
        self._stream: EngineStream | None = None
        self._standby: EngineStream | None = None
        self._inbound: SessionInbound | None = None
        self.is_port_paused = False
        self.head: SkippedHead | None = None
        """Between its decoder and itself, where the client sends audio again that is final."""
        self._first_partial_ms: int | None = None
        self._engines = 0

    def begin(
        self,
        audio_format: AudioFormat,
        decoder: Callable[[SessionRunner], AudioDecoder],
        *,
        max_waiting_bytes: int,
        commits: SessionCommits | None = None,
    ) -> None:
        """Ask for an engine; audio may come from here on, before the engine is there.

        `commits`: of a session that may be resumed.
        """
        self._commits = commits
        self._inbound = SessionInbound(audio_format, decoder(self), self, max_waiting_bytes=max_waiting_bytes)
        self._carry_out(self.machine.begin(self._now_ms()))

    # --- inputs from the transport ----------------------------------------------------------------

    def client_message(self, message: ClientMessage) -> None:
        """Take a message; a client's fault ends the session with its reason."""
        machine, inbound = self.machine, self._inbound
        if machine.is_closed or inbound is None:
            return
        try:
            inbound.accept(message)
        except SessionRefused as refusal:
            self.refuse(refusal)
        else:
            if self.is_port_paused or not machine.is_reading or inbound.is_waiting:
                self._regulate()

    def client_gone(self) -> None:
        self._carry_out(self.machine.client_gone())

    def refuse(self, refusal: SessionRefused) -> None:
        """End the session now, for a reason that has a row in the table."""
        self._carry_out(
            self.machine.end_now(
                refusal.reason,
                refusal.detail,
                retry_after_ms=refusal.retry_after_ms,
                level=level_of(refusal),
                gateways=gateways_of(refusal),
            )
        )

    def end_by_policy(self, refusal: SessionRefused) -> None:
        """It may not be here any more: no engine hears anything from here on, and it ends with the next final."""
        self._take_turn(
            lambda: self.machine.end_by_policy(
                refusal.reason,
                self._now_ms(),
                refusal.detail,
                retry_after_ms=refusal.retry_after_ms,
                gateways=gateways_of(refusal),
            )
        )

    def end_after_utterance(self, reason: Reason) -> None:
        self._carry_out(self.machine.end_after_utterance(reason, self._now_ms()))

    def shed(self, shed: Shed) -> bool:
        """End for a session of a higher tier, after the utterance under way. False: it ends already."""
        if self.machine.is_ending:
            return False
        self._take_turn(
            lambda: self.machine.end_after_utterance(
                Reason.capacity_shed,
                self._now_ms(),
                retry_after_ms=shed.retry_after_ms,
                grace_ms=shed.grace_ms,
            )
        )
        return True

    def permit(self, permitted: Permitted, *, at_once: frozenset[str] = frozenset()) -> None:
        """These regions may hear the session from here on; it moves if it is in another one, and at once if it is in
        one of `at_once`.
        """
        self._pool.permit(permitted, at_once=at_once)

    @property
    def engine_regions(self) -> frozenset[str]:
        """Where engines hear it."""
        return self._pool.regions

    def resumes_at(self, gateways: tuple[str, ...]) -> None:
        """Where its client may go on, by the policy that holds."""
        self.machine.resumes_at(gateways)

    # --- the limiter's side (gateway.limits.interface.LimitedSession) -------------------------------

    def used_so_far(self) -> UsedSoFar:
        return self.machine.used_so_far()

    def quota_update(self, update: QuotaUpdate) -> None:
        self._take_turn(lambda: self.machine.quota_update(update, self._now_ms()))

    def _take_turn(self, step: Callable[[], Sequence[Effect]]) -> None:
        """For who calls all sessions one after the other: a fault of ours ends this one alone."""
        try:
            self._carry_out(step())
            self._go_on()
        except Exception:
            self._observers.log.exception("session.failed")
            self.refuse(SessionRefused(Reason.internal_error))

    # --- time -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """A deadline of the machine passed; or the port is paused, and a decoder may have worked off its input."""
        self._take_turn(lambda: self.machine.timer(self._now_ms()))

    # --- the inbound pipeline's sink ----------------------------------------------------------------

    def has_room(self) -> bool:
        """The high-water mark, where reading stops, lies seconds below the capacity: see SessionSettings."""
        return self.machine.is_reading

    def audio(self, pcm16: bytes) -> None:
        self._carry_out(self.machine.client_audio(pcm16, self._now_ms()))

    def lost(self, extent: GapExtent) -> None:
        skipped_samples = 0 if self.head is None else self.head.left_samples
        start_sample = self.machine.end_sample - skipped_samples + extent.held_back_samples
        self._carry_out(self.machine.client_lost(start_sample, start_sample + extent.num_samples, self._now_ms()))

    def finalize(self, request_id: str) -> None:
        self._carry_out(self.machine.client_finalize(request_id, self._now_ms()))

    def finish(self) -> None:
        self._carry_out(self.machine.client_finish(self._now_ms()))

    def keepalive(self) -> None:
        self._carry_out(self.machine.client_keepalive(self._now_ms()))

    # --- engine events ------------------------------------------------------------------------------

    def engine_event(self, event: StreamEvent) -> None:
        if type(event) is Granted:
            self._carry_out(self.machine.engine_event(event, self._now_ms(), self._pool.region or ""))
        else:
            self._carry_out(self.machine.engine_event(event, self._now_ms()))
        self._go_on()

    def _go_on(self) -> None:
        """Room may have come: what waits in the pipeline moves on, then the transport reads on."""
        inbound = self._inbound
        if inbound is None or self.machine.is_closed:
            return
        if inbound.is_waiting:
            try:
                inbound.go_on()
            except SessionRefused as refusal:
                self.refuse(refusal)
        elif self.machine.is_reading and not self.is_port_paused:
            return
        self._regulate()

    def _regulate(self) -> None:
        """The transport reads while nothing waits in the pipeline and the machine has room."""
        machine, inbound = self.machine, self._inbound
        if inbound is None or machine.is_closed:
            return
        should_pause = not machine.is_reading or inbound.is_waiting
        if should_pause != self.is_port_paused:
            self.is_port_paused = should_pause
            (self._port.pause if should_pause else self._port.resume)()

    # --- effects --------------------------------------------------------------------------------------

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            # Nearly all are one of these two; a class pattern costs six times as much.
            if type(effect) is SendAudio:
                (self._stream or self._current()).send_audio(effect.pcm16)
                continue
            if type(effect) is SendToClient:
                if not self.queue.put(effect.message):
                    self._close_slow_client()
                    return
                continue
            match effect:
                case CutEngine(at_sample, is_last):
                    (self._current().finish if is_last else self._current().finalize)(at_sample)
                case OpenEngine(stream):
                    self._engines += 1
                    self._stream = self._pool.pool().open(stream, self.engine_event)
                case CancelEngine(why):
                    self._let_go(why)
                case OpenStandby() | StandbyAudio() | StandbyCut() | CancelStandby() | SwitchToStandby():
                    self._move(effect)
                case PauseClient() | ResumeClient():
                    if self._inbound is not None:
                        self._inbound.hold(isinstance(effect, PauseClient))
                case CloseClient(reason):
                    self._close(reason)
                case Committed():
                    self._commit(effect)
                case EngineLost() | EngineMoved() | Measured():
                    self._note(effect)

    def _let_go(self, why: LossReason | None) -> None:
        if self._stream is not None:  # or a fault of ours kept it from being opened
            self._stream.cancel(why)

    def _move(self, effect: OpenStandby | StandbyAudio | StandbyCut | CancelStandby | SwitchToStandby) -> None:
        """What concerns the second stream, of a session that is being moved."""
        if isinstance(effect, OpenStandby):
            self._engines += 1
            self._standby = self._pool.pool().open(effect.stream, self.engine_event)
            return
        standby = self._standby
        if standby is None:
            if isinstance(effect, CancelStandby):
                return  # a fault of ours kept it from being opened; the session must end all the same
            raise RuntimeError("the machine speaks to a standby that it never opened")
        match effect:
            case StandbyAudio(pcm16):
                standby.send_audio(pcm16)
            case StandbyCut(at_sample, is_last):
                (standby.finish if is_last else standby.finalize)(at_sample)
            case CancelStandby(why):
                self._standby = None
                standby.cancel(why)
            case SwitchToStandby():
                self._stream, self._standby = standby, None

    def _commit(self, effect: Committed) -> None:
        if self._commits is not None:
            self._commits.commit(
                committed_sample=effect.committed_sample,
                charged_through_sample=effect.charged_through_sample,
                epoch=effect.epoch,
                model=effect.model,
                model_version=effect.model_version,
            )

    def _current(self) -> EngineStream:
        if self._stream is None:
            raise RuntimeError("the machine speaks to an engine that it never opened")
        return self._stream

    def _close_slow_client(self) -> None:
        effects = self.machine.end_now(Reason.client_too_slow)
        for effect in effects:
            if isinstance(effect, SendToClient):
                self.queue.replace_all(effect.message)
        self._carry_out([effect for effect in effects if not isinstance(effect, SendToClient)])

    def _close(self, reason: Reason) -> None:
        if self._inbound is not None:
            self._inbound.close()
        self._observers.metrics.partials_replaced += self.queue.partials_replaced
        self.queue.close(reason)
        if self.is_port_paused:
            self.is_port_paused = False
            self._port.resume()
        self._note_end(reason)
        if self._commits is not None:
            self._commits.close(reason)
        self._pool.close()
        self._on_closed(self)

    # --- what is seen from outside ----------------------------------------------------------------------

    @property
    def waiting_bytes(self) -> int:
        return 0 if self._inbound is None else self._inbound.waiting_bytes

    def _note(self, effect: EngineLost | EngineMoved | Measured) -> None:
        match effect:
            case EngineLost():
                self._note_loss(effect)
            case EngineMoved():
                self._note_move(effect)
            case Measured(figure, value):
                self._note_figure(figure, value)

    def _note_loss(self, effect: EngineLost) -> None:
        self._observers.metrics.engines_lost.labels(effect.reason.value).inc()
        self._observers.log.warning(
            "engine.lost", reason=effect.reason.value, replayed_ms=effect.to_replay_ms, losses=effect.losses
        )
        self._observers.span.add_event("engine.lost", {"reason": effect.reason.value})

    def _note_move(self, effect: EngineMoved) -> None:
        self._observers.metrics.sessions_moved.labels(effect.reason.value).inc()
        self._observers.metrics.move_elapsed.observe(effect.elapsed_ms / 1_000)
        self._observers.log.info(
            "session.moved", reason=effect.reason.value, replayed_ms=effect.replayed_ms, elapsed_ms=effect.elapsed_ms
        )
        self._observers.span.add_event("session.moved", {"reason": effect.reason.value})

    def _note_figure(self, figure: Figure, value_ms: int) -> None:
        metrics = self._observers.metrics
        match figure:
            case Figure.open_elapsed_ms:
                metrics.open_elapsed.observe(value_ms / 1_000)
                self._note_route(value_ms)
            case Figure.first_partial_elapsed_ms:
                self._first_partial_ms = value_ms
                metrics.first_partial_elapsed.observe(value_ms / 1_000)
                self._observers.span.add_event("first_partial", {"elapsed_ms": value_ms})
            case Figure.finalisation_elapsed_ms:
                metrics.finalisation_elapsed.observe(value_ms / 1_000)
            case Figure.migration_pause_elapsed_ms:
                metrics.migration_pause.observe(value_ms / 1_000)
                self._observers.span.add_event("engine.replaced", {"pause_elapsed_ms": value_ms})

    def _note_route(self, open_elapsed_ms: int) -> None:
        decision = self._pool.decision
        self._observers.log.info(
            "session.routed",
            open_elapsed_ms=open_elapsed_ms,
            engine_region=self._pool.region,
            candidates=0 if decision is None else len(decision.candidates),
            ruled_out={} if decision is None else ruled_out_summary(decision),
        )

    def _note_end(self, reason: Reason) -> None:
        machine, metrics, transport = self.machine, self._observers.metrics, self._observers.transport
        audio_ms = machine.recognised_samples // SAMPLES_PER_MS
        metrics.sessions_closed.labels(transport, reason.value).inc()
        metrics.audio_seconds.inc(audio_ms / 1_000)
        metrics.compute_seconds.inc(machine.compute_us / 1_000_000)
        metrics.session_audio.observe(audio_ms / 1_000)
        if audio_ms:
            metrics.real_time_factor.observe(machine.compute_us / (audio_ms * 1_000))
        self._observers.log.info(
            "session.closed",
            reason=reason.value,
            audio_ms=audio_ms,
            compute_us=machine.compute_us,
            first_partial_ms=self._first_partial_ms,
            engines=self._engines,
            model_version=machine.model_version,
        )
        self._observers.span.set_attribute("patchbay.close_reason", reason.value)
        self._observers.span.set_attribute("patchbay.audio_ms", audio_ms)
        self._observers.span.set_attribute("patchbay.compute_us", machine.compute_us)
        self._observers.span.end()
