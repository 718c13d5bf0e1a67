"""The one thread that owns the recognisers of one device: takes commands, plans, runs one batched step, hands it out.

Several models may be loaded; each step is of one of them, the one whose earliest step is due first.

These must stay true:
  - A recogniser that was handed over is called from this thread alone.
  - Nobody waits for ever: a step that fails loses its streams and the loop goes on; anything else that goes wrong here
    is told through `on_death`, once, and the thread is over.
  - Commands and outcomes carry the slot's generation; a command of an old generation does nothing.

The inbox has no bound of its own: whoever fills it bounds each stream (engines/server/streams.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from engines.batching.accounting import ComputeLedger
from engines.batching.bay import Bay, Lane
from engines.batching.commands import (
    AddModel,
    AppendAudio,
    BeginStream,
    CutStream,
    EndStream,
    LoopCommand,
    Outcome,
    RemoveModel,
)
from engines.batching.meter import LoadMeter, LoopFigures
from engines.errors import EngineError
from engines.interface import BYTES_PER_SAMPLE, LossReason, Lost, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.contract import StepResult


class InferenceLoop:
    """Runs recognisers on a thread of its own.

    Args:
        deliver: called on the thread after each step, with one outcome for each stream that took part.
        on_death: called on the thread when it ends by anything but `stop`.
        idle_turn_ms: the loop turns at least this often, so that `turns` shows that it lives.
    """

    def __init__(
        self,
        *,
        deliver: Callable[[list[Outcome]], None],
        on_death: Callable[[BaseException], None],
        idle_turn_ms: int = 50,
    ) -> None:
        self._deliver = deliver
        self._on_death = on_death
        self._idle_turn_s = idle_turn_ms / 1_000
        self._bays: dict[int, Bay] = {}
        self._inbox: deque[LoopCommand] = deque()
        self._wake = threading.Event()
        self._is_stopping = False
        self._turns = 0
        self._meter = LoadMeter(_now_us())
        self._ledger = ComputeLedger()
        self._mark_us = _now_us()
        # A daemon: a recogniser that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    @property
    def turns(self) -> int:
        """Grows with every turn; one that stands still is stuck in a recogniser. May be read from any thread."""
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
            for bay in self._bays.values():
                bay.recogniser.shut_down()
        except BaseException as error:  # noqa: BLE001 - told to the process, which ends by it
            self._on_death(error)

    def _turn(self) -> None:
        self._turns += 1
        self._wait_for_work()
        self._mark_us = _now_us()
        outcomes = self._take_commands(self._mark_us)
        bay = self._next_bay(_now_us())
        if bay is not None:
            outcomes += self._step(bay)
        if outcomes:
            self._deliver(outcomes)
        ended_at_us = self._worked()
        if self._meter.is_due(ended_at_us):
            self._meter.publish(ended_at_us, self._bays, self._ledger)

    def _wait_for_work(self) -> None:
        """Until there is a command, or a step that should not wait for others any longer."""
        if not self._inbox:
            waits_s = self._idle_turn_s
            now_us = _now_us()
            busy_permille = self._meter.figures.busy_permille
            for bay in self._bays.values():
                if bay.planner.waiting:
                    hold_us = bay.hold_until_us(now_us, busy_permille=busy_permille) - now_us
                    waits_s = min(waits_s, hold_us / 1_000_000)
            if waits_s > 0:
                self._wake.wait(waits_s)
        # Down before the inbox is read: what is appended later raises it again.
        self._wake.clear()

    def _next_bay(self, now_us: int) -> Bay | None:
        """The model whose earliest step is due first, of those whose steps should not wait for others."""
        found: Bay | None = None
        found_due_us = 0
        busy_permille = self._meter.figures.busy_permille
        for bay in self._bays.values():
            due_at_us = bay.planner.earliest_due_at_us
            if due_at_us is None or (found is not None and due_at_us >= found_due_us):
                continue
            if bay.hold_until_us(now_us, busy_permille=busy_permille) <= now_us:
                found, found_due_us = bay, due_at_us
        return found

    def _worked(self) -> int:
        """Note the work since the last mark; give this instant."""
        now_us = _now_us()
        self._ledger.worked(now_us - self._mark_us)
        self._mark_us = now_us
        return now_us

    def _take_commands(self, now_us: int) -> list[Outcome]:
        """Carry out what was in the inbox when the turn began; what a stream's own command broke is its loss."""
        lost: list[Outcome] = []
        touched: set[tuple[int, int]] = set()
        popleft = self._inbox.popleft
        for _ in range(len(self._inbox)):
            command = popleft()
            if isinstance(command, AddModel):
                self._bays[command.bay] = Bay(command)
                continue
            if isinstance(command, RemoveModel):
                self._remove(command.bay)
                continue
            bay = self._bays.get(command.slot.bay)
            if bay is None:
                continue
            if isinstance(command, BeginStream):
                bay.open(command.slot, command.stream)
                continue
            lane = bay.lane_of(command.slot)
            if lane is None:
                continue
            try:
                self._carry_out(command, bay, lane)
            except EngineError:
                bay.close(lane)
                lost.append(_lost(lane))
            else:
                touched.add((command.slot.bay, command.slot.index))
        for key, index in touched:
            bay = self._bays.get(key)
            if bay is not None and bay.lanes[index] is not None:
                bay.mark_if_ready(index, now_us)
        return lost

    def _remove(self, key: int) -> None:
        bay = self._bays.pop(key, None)
        if bay is None:
            return
        for lane in bay.lanes:
            if lane is not None:
                bay.close(lane)
        bay.recogniser.shut_down()

    def _carry_out(self, command: AppendAudio | CutStream | EndStream, bay: Bay, lane: Lane) -> None:
        match command:
            case AppendAudio(slot, pcm16):
                num_samples = len(pcm16) // BYTES_PER_SAMPLE
                lane.accepted_through_sample += num_samples
                bay.queued_samples += num_samples
                bay.recogniser.accept(slot.index, pcm16)
            case CutStream(slot, at_sample, is_last):
                bay.recogniser.cut(slot.index, at_sample, is_last=is_last)
            case EndStream():
                bay.close(lane)

    def _step(self, bay: Bay) -> list[Outcome]:
        batch = bay.take(_now_us())
        lanes = [lane for lane in (bay.lanes[index] for index in batch) if lane is not None]
        began_at_us = _now_us()
        try:
            results = bay.recogniser.step(batch)
        except EngineError:
            for lane in lanes:
                bay.close(lane)
            return [_lost(lane) for lane in lanes]
        ended_at_us = self._worked()
        bay.stepped(len(batch), ended_at_us - began_at_us)
        self._meter.stepped(ended_at_us - began_at_us)
        shares_us = self._ledger.charge(len(batch))
        return [
            _finish_step(bay, lane, result, compute_us, ended_at_us)
            for lane, result, compute_us in zip(lanes, results, shares_us, strict=True)
        ]


def _finish_step(bay: Bay, lane: Lane, result: StepResult, compute_us: int, now_us: int) -> Outcome:
    bay.queued_samples -= result.audio_through_sample - lane.audio_through_sample
    lane.audio_through_sample = result.audio_through_sample
    # Before the results: the compute of a stream's last step is known when its last final comes.
    progress = Progress(lane.epoch, result.audio_through_sample, compute_us)
    if result.is_lost:
        bay.close(lane)
        return Outcome(lane.slot, (progress, Lost(lane.epoch, LossReason.engine_failed)), is_over=True)
    if result.is_over:
        bay.close(lane)
    elif bay.recogniser.is_ready(result.slot):
        bay.planner.mark_still_ready(result.slot, now_us)
    else:
        bay.planner.caught_up(result.slot)
    return Outcome(lane.slot, (progress, *result.events), result.is_over)


def _lost(lane: Lane) -> Outcome:
    return Outcome(lane.slot, (Lost(lane.epoch, LossReason.engine_failed),), is_over=True)


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
