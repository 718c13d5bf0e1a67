"""The streams of this engine, as the event loop knows them: grants, bounds, and the way of results to their links.

These must stay true:
  - Every opened stream ends in exactly one of: its last final, `Lost`, or the link's own cancel; then its slot is free.
  - What a stream may leave unread in the inbox is bounded by its window (and one message), by `MAX_COMMANDS_A_TURN` and
    by `MAX_PENDING_CUTS`; how many streams there are, by the slots. So the inbox is bounded.
  - Nothing here waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from engines.batching.commands import AppendAudio, BeginStream, CutStream, EndStream, Outcome
from engines.batching.loop import InferenceLoop
from engines.batching.slots import Slot
from engines.errors import LinkMisused
from engines.interface import (
    BYTES_PER_SAMPLE,
    EndReason,
    FinalResult,
    Granted,
    LoadReport,
    LossReason,
    Lost,
    Progress,
    RefusalReason,
    Refused,
)
from engines.server.alarms import Alarms
from engines.server.replays import REPLAY_RETRY_MS, ReplaysUnderWay
from engines.server.shelf import ModelShelf, ShelvedModel, engine_slots
from policies.replay_share import ReplayLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.batching.meter import LoopFigures
    from engines.interface import OpenStream
    from engines.server.grants import GrantChecker
    from engines.server.link_host import EventSink
    from policies.routing_facts import CapacityClass

MAX_COMMANDS_A_TURN = 1_000
"""Of one stream, between two turns of the inference loop: more than a client's audio cut into 1 ms pieces."""
MAX_PENDING_CUTS = 64

log = structlog.get_logger("engine")


class HostedStream:
    """One granted stream."""

    __slots__ = (
        "commands_this_turn",
        "consumed_through_sample",
        "epoch",
        "is_finishing",
        "pending_cuts",
        "received_through_sample",
        "sink",
        "slot",
        "stream_id",
        "turn",
        "window_samples",
    )

    def __init__(self, sink: EventSink, stream_id: int, opened: OpenStream, *, window_samples: int) -> None:
        self.sink = sink
        self.stream_id = stream_id
        self.epoch = opened.epoch
        self.slot = Slot(0, 0)
        self.received_through_sample = opened.start_sample
        self.consumed_through_sample = opened.start_sample
        self.pending_cuts = 0
        self.is_finishing = False
        self.turn = 0
        self.commands_this_turn = 0
        self.window_samples = window_samples


class HostSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine takes streams.

    Attributes:
        max_batch: streams of a model in one step; 0: all its slots.
        busy_permille: how much of its time streams may keep the inference thread at work; 0: only slots count.
        replay_share_permille: compute for streams that catch up, of what all slots take (engines/server/replays).
        no_slot_retry_ms: when a refused gateway may ask this engine again.
        capacity: how its machine is paid for; None: nobody said.
    """

    pool: str
    capacity: CapacityClass | None = None
    max_batch: int = 0
    busy_permille: int = 800
    replay_share_permille: int = 250
    no_slot_retry_ms: int = 500


class StreamHost:
    """Owns the models, their slots and the inference loop. Used on one event loop.

    Args:
        on_death: the inference thread is over; every stream has been told `Lost` by then.
        grants: what a stream must be permitted by when it is opened; None: any is taken.
    """

    def __init__(
        self,
        settings: HostSettings,
        *,
        on_death: Callable[[BaseException], None],
        grants: GrantChecker | None = None,
    ) -> None:
        self._grants = grants
        self._alarms = Alarms(time.monotonic)
        self._settings = settings
        self._on_death = on_death
        self._events = asyncio.get_running_loop()
        self._is_dead = False
        self._all_over: asyncio.Event = asyncio.Event()
        self.is_draining = False
        self._is_at_risk = False
        self._leave_by_s: float | None = None
        self.is_stalled = False
        """Set by the heartbeat: the inference thread has not turned for too long to promise anybody a slot."""
        self.slot_changes = 0
        """Grows whenever a slot changes hands, a model comes or goes, or draining begins: a load report made before is
        out of date.
        """
        self._loop = InferenceLoop(deliver=self._deliver, on_death=self._report_death)
        self.shelf = ModelShelf(self._loop, max_batch=settings.max_batch, busy_permille=settings.busy_permille)
        self._replays = ReplaysUnderWay(self.shelf, ReplayLimits(settings.replay_share_permille))

    @property
    def turns(self) -> int:
        return self._loop.turns

    @property
    def figures(self) -> LoopFigures:
        return self._loop.figures

    @property
    def open_streams(self) -> int:
        return self.shelf.slots_used

    def start(self) -> None:
        self._loop.start()

    def stop(self, *, timeout_ms: int) -> bool:
        """End the inference thread; False if it is stuck."""
        return self._loop.stop(timeout_ms=timeout_ms)

    def load(self) -> LoadReport:
        figures = self._loop.figures
        models = self.shelf.loads()
        return LoadReport(
            pool=self._settings.pool,
            models=models,
            slots_total=engine_slots(models),
            slots_used=self.shelf.slots_used,
            queued_audio_ms=figures.queued_audio_ms,
            step_p50_us=figures.step_p50_us,
            busy_permille=figures.busy_permille,
            is_draining=self.is_draining,
            leaves_in_ms=self.leaves_in_ms,
            is_at_risk=self._is_at_risk,
            capacity=self._settings.capacity,
        )

    @property
    def leaves_in_ms(self) -> int:
        """Until streams should be gone, 1 when they should be by now; 0: nothing is known."""
        if self._leave_by_s is None:
            return 0
        return max(1, round((self._leave_by_s - self._events.time()) * 1_000))

    @property
    def is_at_risk(self) -> bool:
        """The machine may go away soon; nobody has to hurry."""
        return self._is_at_risk

    @is_at_risk.setter
    def is_at_risk(self, is_at_risk: bool) -> None:
        if is_at_risk != self._is_at_risk:
            self._is_at_risk = is_at_risk
            self.slot_changes += 1

    def leave_by(self, at_s: float) -> None:
        """Streams should be gone by then, on the loop's clock; of two wishes the earlier one counts."""
        if self._leave_by_s is None or at_s < self._leave_by_s:
            self._leave_by_s = at_s
            self.slot_changes += 1

    def open(self, sink: EventSink, stream_id: int, opened: OpenStream) -> HostedStream | None:
        """Answer at once through `sink`: `Granted`, and the stream; or `Refused`, and None."""
        if (why := self._why_not_permitted(opened)) is not None:
            if times := self._alarms.raised(why):
                log.error("stream.not_permitted", session=opened.session_id, why=why, times=times)
            sink.send(stream_id, self._refusal(opened, RefusalReason.not_permitted, why))
            return None
        chosen = self._choose(opened)
        if isinstance(chosen, Refused):
            sink.send(stream_id, chosen)
            return None
        stream = HostedStream(sink, stream_id, opened, window_samples=chosen.window_samples)
        slot = chosen.table.allocate(stream)
        if slot is None:
            sink.send(stream_id, self._refusal(opened, RefusalReason.no_free_slot))
            return None
        stream.slot = slot
        if opened.is_replay:
            self._replays.began(stream, chosen)
        self.slot_changes += 1
        self._loop.put(BeginStream(slot, opened))
        sink.send(stream_id, Granted(opened.epoch, chosen.name, chosen.version, chosen.window_samples))
        return stream

    def audio(self, stream: HostedStream, pcm16: bytes) -> None:
        """Append audio.

        Raises:
            LinkMisused: half a sample, audio after `finish`, or more than the window and one message ahead.
        """
        if stream.is_finishing:
            raise LinkMisused("audio after finish")
        num_samples, half = divmod(len(pcm16), BYTES_PER_SAMPLE)
        if half:
            raise LinkMisused("half a sample")
        unread_samples = stream.received_through_sample - stream.consumed_through_sample
        if unread_samples > stream.window_samples or num_samples > stream.window_samples:
            raise LinkMisused("audio beyond the window")
        self._count(stream)
        stream.received_through_sample += num_samples
        self._loop.put(AppendAudio(stream.slot, pcm16))

    def cut(self, stream: HostedStream, at_sample: int, *, is_last: bool) -> None:
        """End an utterance where the audio ends.

        Raises:
            LinkMisused: `at_sample` is not there, the stream was finished before, or too many cuts are unanswered.
        """
        if stream.is_finishing:
            raise LinkMisused("a cut after finish")
        if at_sample != stream.received_through_sample:
            raise LinkMisused("a cut that is not where the audio ends")
        if stream.pending_cuts >= MAX_PENDING_CUTS:
            raise LinkMisused("too many cuts unanswered")
        self._count(stream)
        stream.pending_cuts += 1
        stream.is_finishing = is_last
        self._loop.put(CutStream(stream.slot, at_sample, is_last))

    def cancel(self, stream: HostedStream) -> None:
        """Forget the stream; nothing more goes to its link."""
        if not self._release(stream.slot):
            return
        self._loop.put(EndStream(stream.slot))
        self._loop.wake()

    def lose(self, stream: HostedStream, reason: LossReason) -> None:
        """As `cancel`, and the link is told why."""
        if self.shelf.owner_of(stream.slot) is None:
            return
        log.warning("stream.lost", reason=reason.value, stream_id=stream.stream_id, epoch=stream.epoch)
        self.cancel(stream)
        stream.sink.send(stream.stream_id, Lost(stream.epoch, reason))
        stream.sink.ended(stream.stream_id)

    def lose_all(self, reason: LossReason) -> None:
        for stream in self.shelf.streams:
            self.lose(stream, reason)

    def wake(self) -> None:
        """The commands of this turn are all in."""
        self._loop.wake()

    def begin_drain(self) -> None:
        if not self.is_draining:
            self.is_draining = True
            self.slot_changes += 1
            log.info("engine.draining", streams=self.open_streams)

    async def until_empty(self) -> None:
        """Until no stream is open."""
        while self.shelf.slots_used:
            self._all_over.clear()
            await self._all_over.wait()

    def _why_not_permitted(self, opened: OpenStream) -> str | None:
        """What was asked for on another kind of machine, by whoever takes this one for that; or has no good grant."""
        capacity = self._settings.capacity
        if opened.classes is not None and capacity is not None and capacity not in opened.classes:
            return "other_capacity"
        return None if self._grants is None else self._grants.refusal_of(opened)

    def _choose(self, opened: OpenStream) -> ShelvedModel | Refused:
        if opened.start_sample < 0:
            return self._refusal(opened, RefusalReason.bad_options, "start_sample must not be negative")
        chosen = self.shelf.choose(opened.options, opened.session_id)
        if isinstance(chosen, RefusalReason):
            return self._refusal(opened, chosen)
        mistakes = chosen.mistakes(opened.options)
        if mistakes:
            return self._refusal(opened, RefusalReason.bad_options, "; ".join(mistakes))
        if self.is_draining:
            return self._refusal(opened, RefusalReason.draining)
        is_behind = self._loop.queued_commands > MAX_COMMANDS_A_TURN * self.shelf.slots_laid_out
        if self.is_stalled or self._is_dead or is_behind or not self.shelf.has_room(chosen):
            return self._refusal(opened, RefusalReason.no_free_slot)
        if opened.is_replay and not self._replays.admits(chosen):
            return Refused(opened.epoch, RefusalReason.no_free_slot, REPLAY_RETRY_MS, "others are catching up here")
        return chosen

    def _refusal(self, opened: OpenStream, reason: RefusalReason, detail: str = "") -> Refused:
        may_help = reason is RefusalReason.no_free_slot
        return Refused(opened.epoch, reason, self._settings.no_slot_retry_ms if may_help else None, detail)

    def _count(self, stream: HostedStream) -> None:
        turn = self._loop.turns
        if stream.turn != turn:
            stream.turn = turn
            stream.commands_this_turn = 0
        stream.commands_this_turn += 1
        if stream.commands_this_turn > MAX_COMMANDS_A_TURN:
            raise LinkMisused("too many commands between two steps")

    def _release(self, slot: Slot) -> bool:
        if not self.shelf.release(slot):
            return False
        self.slot_changes += 1
        if not self.shelf.slots_used:
            self._all_over.set()
        return True

    def _deliver(self, outcomes: list[Outcome]) -> None:
        """On the inference thread."""
        # Closed: the process is ending, and nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._events.call_soon_threadsafe(self._receive, outcomes)

    def _report_death(self, error: BaseException) -> None:
        """On the inference thread."""
        with contextlib.suppress(RuntimeError):
            self._events.call_soon_threadsafe(self._die, error)

    def _die(self, error: BaseException) -> None:
        self._is_dead = True
        log.error("engine.failed", exc_info=error)
        self.lose_all(LossReason.engine_failed)
        self._on_death(error)

    def _receive(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            stream = self.shelf.owner_of(outcome.slot)
            if stream is None:
                continue
            for event in outcome.events:
                if isinstance(event, Progress):
                    stream.consumed_through_sample = event.audio_through_sample
                elif isinstance(event, FinalResult) and event.reason in _CUT_REASONS:
                    stream.pending_cuts -= 1
                elif isinstance(event, Lost):
                    log.warning("stream.lost", reason=event.reason.value, stream_id=stream.stream_id)
                stream.sink.send(stream.stream_id, event)
            if outcome.is_over:
                self._release(outcome.slot)
                stream.sink.ended(stream.stream_id)


_CUT_REASONS = frozenset({EndReason.finalize, EndReason.finish})
