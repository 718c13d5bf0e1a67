"""The one thread that owns the recogniser: takes commands, plans, runs one batched step, hands the results out.

These must stay true:
  - The recogniser is called from this thread alone.
  - Nobody waits for ever: a step that fails loses its streams and the loop goes on; anything else that goes wrong here
    is told through `on_death`, once, and the thread is over.
  - Commands and outcomes carry the slot's generation; a command of an old generation does nothing.

The inbox has no bound of its own: whoever fills it bounds each stream (engines/server/streams.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from engines.batching.meter import LoadMeter, LoopFigures
from engines.batching.planner import StepPlanner
from engines.batching.slots import Slot
from engines.errors import EngineError
from engines.interface import (
    BYTES_PER_SAMPLE,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_MS,
    LossReason,
    Lost,
    OpenStream,
    Progress,
    StreamEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.contract import BatchRecogniser, StepResult


class BeginStream(msgspec.Struct, frozen=True):
    slot: Slot
    stream: OpenStream


class AppendAudio(msgspec.Struct, frozen=True):
    slot: Slot
    pcm16: bytes


class CutStream(msgspec.Struct, frozen=True):
    slot: Slot
    at_sample: int
    is_last: bool


class EndStream(msgspec.Struct, frozen=True):
    slot: Slot


LoopCommand = BeginStream | AppendAudio | CutStream | EndStream


class Outcome(msgspec.Struct, frozen=True):
    """What one step gave one stream; `is_over`: no outcome follows and the recogniser has let go of the slot."""

    slot: Slot
    events: tuple[StreamEvent, ...]
    is_over: bool


@dataclass(slots=True)
class _Lane:
    """What the loop knows of the stream in one slot."""

    slot: Slot
    epoch: int
    accepted_through_sample: int
    audio_through_sample: int


_MAX_LEAD_STEPS = 2


class InferenceLoop:
    """Runs `recogniser` on a thread of its own.

    Args:
        deliver: called on the thread after each step, with one outcome for each stream that took part.
        on_death: called on the thread when it ends by anything but `stop`.
        idle_turn_ms: the loop turns at least this often, so that `turns` shows that it lives.
    """

    def __init__(
        self,
        recogniser: BatchRecogniser,
        *,
        deliver: Callable[[list[Outcome]], None],
        on_death: Callable[[BaseException], None],
        max_batch: int,
        idle_turn_ms: int = 50,
    ) -> None:
        self._recogniser = recogniser
        self._deliver = deliver
        self._on_death = on_death
        self._idle_turn_s = idle_turn_ms / 1_000
        step_us = recogniser.step_samples * 1_000_000 // SAMPLE_RATE_HZ
        self._planner = StepPlanner(step_us=step_us, max_batch=max_batch, max_lead_us=_MAX_LEAD_STEPS * step_us)
        self._inbox: deque[LoopCommand] = deque()
        self._wake = threading.Event()
        self._is_stopping = False
        self._turns = 0
        self._lanes: list[_Lane | None] = [None] * recogniser.max_slots
        self._queued_samples = 0
        self._meter = LoadMeter(_now_us())
        # A daemon: a recogniser that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    @property
    def turns(self) -> int:
        """Grows with every turn; one that stands still is stuck in the recogniser. May be read from any thread."""
        return self._turns

    @property
    def figures(self) -> LoopFigures:
        """At most 100 ms old while the loop turns. May be read from any thread."""
        return self._meter.figures

    @property
    def queued_commands(self) -> int:
        return len(self._inbox)

    def start(self) -> None:
        self._thread.start()

    def put(self, command: LoopCommand) -> None:
        """Append a command. May be called from any thread; call `wake` when the last of a turn is in."""
        self._inbox.append(command)

    def wake(self) -> None:
        # Setting takes a lock; a flag that is still up covers what was appended before.
        if not self._wake.is_set():
            self._wake.set()

    def stop(self, *, timeout_ms: int) -> bool:
        """End the thread after its current step; False if that did not end in time."""
        self._is_stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_ms / 1_000)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self._turn()
        except BaseException as error:  # noqa: BLE001 - told to the process, which ends by it
            self._on_death(error)

    def _turn(self) -> None:
        self._turns += 1
        if not self._inbox and not self._planner.has_waiting:
            self._wake.wait(self._idle_turn_s)
        # Down before the inbox is read: what is appended later raises it again.
        self._wake.clear()
        began_at_us = _now_us()
        outcomes = self._take_commands(began_at_us)
        batch = self._planner.take()
        if batch:
            outcomes += self._step(batch)
        if outcomes:
            self._deliver(outcomes)
        ended_at_us = _now_us()
        self._meter.turned(
            ended_at_us,
            busy_us=ended_at_us - began_at_us,
            queued_audio_ms=self._queued_samples // SAMPLES_PER_MS,
        )

    def _take_commands(self, now_us: int) -> list[Outcome]:
        """Carry out what was in the inbox when the turn began; what a stream's own command broke is its loss."""
        lost: list[Outcome] = []
        touched: set[int] = set()
        popleft = self._inbox.popleft
        for _ in range(len(self._inbox)):
            command = popleft()
            index = command.slot.index
            if isinstance(command, BeginStream):
                self._begin(command)
                continue
            lane = self._lanes[index]
            if lane is None or lane.slot != command.slot:
                continue
            try:
                self._carry_out(command, lane)
            except EngineError:
                self._close(lane)
                lost.append(_lost(lane))
            else:
                touched.add(index)
        for index in touched:
            if self._lanes[index] is not None and self._recogniser.is_ready(index):
                self._planner.mark_ready(index, now_us)
        return lost

    def _begin(self, command: BeginStream) -> None:
        before = self._lanes[command.slot.index]
        if before is not None:
            self._close(before)
        stream = command.stream
        self._recogniser.open(command.slot.index, stream)
        self._lanes[command.slot.index] = _Lane(command.slot, stream.epoch, stream.start_sample, stream.start_sample)

    def _carry_out(self, command: AppendAudio | CutStream | EndStream, lane: _Lane) -> None:
        match command:
            case AppendAudio(slot, pcm16):
                num_samples = len(pcm16) // BYTES_PER_SAMPLE
                lane.accepted_through_sample += num_samples
                self._queued_samples += num_samples
                self._recogniser.accept(slot.index, pcm16)
            case CutStream(slot, at_sample, is_last):
                self._recogniser.cut(slot.index, at_sample, is_last=is_last)
            case EndStream():
                self._close(lane)

    def _close(self, lane: _Lane) -> None:
        index = lane.slot.index
        self._queued_samples -= lane.accepted_through_sample - lane.audio_through_sample
        self._planner.forget(index)
        self._lanes[index] = None
        self._recogniser.close(index)

    def _step(self, batch: list[int]) -> list[Outcome]:
        lanes = [lane for lane in (self._lanes[index] for index in batch) if lane is not None]
        began_at_us = _now_us()
        try:
            results = self._recogniser.step(batch)
        except EngineError:
            for lane in lanes:
                self._close(lane)
            return [_lost(lane) for lane in lanes]
        ended_at_us = _now_us()
        self._meter.stepped(ended_at_us - began_at_us)
        shares_us = split_evenly(ended_at_us - began_at_us, len(batch))
        return [
            self._finish_step(lane, result, compute_us, ended_at_us)
            for lane, result, compute_us in zip(lanes, results, shares_us, strict=True)
        ]

    def _finish_step(self, lane: _Lane, result: StepResult, compute_us: int, now_us: int) -> Outcome:
        self._queued_samples -= result.audio_through_sample - lane.audio_through_sample
        lane.audio_through_sample = result.audio_through_sample
        # Before the results: the compute of a stream's last step is known when its last final comes.
        progress = Progress(lane.epoch, result.audio_through_sample, compute_us)
        if result.is_over:
            self._close(lane)
        elif self._recogniser.is_ready(result.slot):
            self._planner.mark_ready(result.slot, now_us)
        return Outcome(lane.slot, (progress, *result.events), result.is_over)


def split_evenly(total_us: int, parts: int) -> list[int]:
    """Integers that differ by at most one and sum to `total_us` exactly."""
    share_us, remainder_us = divmod(total_us, parts)
    return [share_us + 1] * remainder_us + [share_us] * (parts - remainder_us)


def _lost(lane: _Lane) -> Outcome:
    return Outcome(lane.slot, (Lost(lane.epoch, LossReason.engine_failed),), is_over=True)


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
