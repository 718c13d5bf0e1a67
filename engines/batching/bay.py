"""One loaded model on the inference thread: its recogniser, who is in its slots, and who steps next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.batching.capacity import fastest_permille, real_time_streams
from engines.batching.filling import IDLE_BELOW_PERMILLE, FillFacts, fill_wait_us
from engines.batching.planner import StepPlanner
from engines.interface import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from engines.batching.commands import AddModel
    from engines.batching.slots import Slot
    from engines.interface import OpenStream

_MAX_LEAD_STEPS = 2
SURPLUS_SHARE = 5
"""Steps that are not due take a fifth of a step duration at most, which is what admission keeps free."""
_COSTS_LAST_STEPS = 32
"""Figures that follow from the costs are computed anew after so many steps; costs drift slowly."""


@dataclass(slots=True)
class Lane:
    """What the loop knows of the stream in one slot."""

    slot: Slot
    epoch: int
    accepted_through_sample: int
    audio_through_sample: int


class Bay:
    """Used on the inference thread alone."""

    def __init__(self, model: AddModel) -> None:
        self.recogniser = model.recogniser
        self.costs = model.costs
        step_us = self.recogniser.step_samples * 1_000_000 // SAMPLE_RATE_HZ
        self.planner = StepPlanner(step_us=step_us, max_batch=model.max_batch, max_lead_us=_MAX_LEAD_STEPS * step_us)
        self.lanes: list[Lane | None] = [None] * self.recogniser.max_slots
        self.queued_samples = 0
        self.capacity = 0
        """How many streams the thread would serve in time if it had no other model."""
        self.fastest_permille = 0
        """How fast one stream alone is recognised, against 1000 for real time."""
        self.worst_lateness_us = 0
        """Of any step since this was last set to 0."""
        self._busy_permille = model.busy_permille
        self._open = 0
        self._steps_until_refresh = 0
        self._surplus_rows = 0
        self._fixed_us = 0
        self._row_us = 1
        self._refresh()

    def lane_of(self, slot: Slot) -> Lane | None:
        """The lane that this hold on a slot has; None once the slot changed hands."""
        lane = self.lanes[slot.index]
        return lane if lane is not None and lane.slot == slot else None

    def open(self, slot: Slot, stream: OpenStream) -> None:
        before = self.lanes[slot.index]
        if before is not None:
            self.close(before)
        self.recogniser.open(slot.index, stream)
        self.lanes[slot.index] = Lane(slot, stream.epoch, stream.start_sample, stream.start_sample)
        self.planner.enter(slot.index, tenant=stream.tenant, is_replay=stream.epoch > 1)
        self._open += 1

    def close(self, lane: Lane) -> None:
        index = lane.slot.index
        self.queued_samples -= lane.accepted_through_sample - lane.audio_through_sample
        self.planner.forget(index)
        self.lanes[index] = None
        self._open -= 1
        self.recogniser.close(index)

    def mark_if_ready(self, index: int, now_us: int) -> None:
        if self.recogniser.is_ready(index):
            self.planner.mark_ready(index, now_us)

    def hold_until_us(self, now_us: int, *, busy_permille: int) -> int:
        """Until when the steps that are due should wait for others; 0 where they should not."""
        if busy_permille <= IDLE_BELOW_PERMILLE:
            return 0
        planner = self.planner
        due_at_us = planner.earliest_due_at_us
        if due_at_us is None or due_at_us > now_us:
            return 0
        facts = FillFacts(
            waiting=planner.waiting,
            live=self._open,
            max_batch=planner.max_batch,
            step_us=planner.step_us,
            fixed_us=self._fixed_us,
            row_us=self._row_us,
            busy_permille=busy_permille,
        )
        return due_at_us + fill_wait_us(facts)

    def take(self, now_us: int) -> list[int]:
        """The slots of the next step."""
        due_at_us = self.planner.earliest_due_at_us
        if due_at_us is not None:
            self.worst_lateness_us = max(self.worst_lateness_us, now_us - due_at_us)
        return self.planner.take(now_us, surplus_rows=self._surplus_rows)

    def stepped(self, batch: int, step_us: int) -> None:
        """A step of `batch` rows took so long."""
        self.costs.observe(batch, step_us)
        self._steps_until_refresh -= 1
        if self._steps_until_refresh <= 0:
            self._refresh()

    def _refresh(self) -> None:
        planner = self.planner
        self._steps_until_refresh = _COSTS_LAST_STEPS
        self._fixed_us = self.costs.fixed_us
        self._row_us = self.costs.row_us
        self._surplus_rows = self.costs.rows_within(planner.step_us // SURPLUS_SHARE, most=planner.max_batch)
        self.fastest_permille = fastest_permille(self.costs, step_us=planner.step_us)
        self.capacity = real_time_streams(
            self.costs, step_us=planner.step_us, max_batch=planner.max_batch, busy_permille=self._busy_permille
        )
