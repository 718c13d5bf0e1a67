"""Which streams of one model take part in the next step: those whose step falls due first. PURE.

Each stream has a virtual clock. Its next step is due when the audio that completes it arrives, but not before one step
duration after its previous step was due. A live stream's steps are therefore due as they arrive. A stream that sends
faster than real time has steps that are not due yet: it is *ahead*. A replay is ahead because its session lost an
engine, a flood because its client does not keep the pace.

Rows of a step are given away in this order:
  1. steps that are due, earliest first. When some of them are late by a whole step the thread is overloaded: then
     tenants take turns, the one that was served least first, and within a tenant the earliest comes first;
  2. steps of replays that are ahead, up to `surplus_rows`;
  3. steps of floods that are ahead, in what is left of `surplus_rows`.

These must stay true:
  - A waiting stream's due instant does not change, and what comes before it is due before it: whoever waits is served.
  - A due instant is at most `max_lead_us` away when the wait begins, so that a stream that caught up after a replay
    is not held behind the live ones for as long as its replay was.
  - Under overload a tenant gets at least its even share of rows, however many streams the others have.
  - Equal dues are served in the order of their slots.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class _Clock:
    """What is known of the stream in one slot."""

    tenant: str
    is_replay: bool
    previous_due_at_us: int | None = None


class StepPlanner:
    """The streams of one model and their due instants. Instants are microseconds on any one monotonic clock."""

    def __init__(self, *, step_us: int, max_batch: int, max_lead_us: int) -> None:
        self.step_us = step_us
        self.max_batch = max_batch
        self._max_lead_us = max_lead_us
        self._clocks: dict[int, _Clock] = {}
        self._waiting: dict[int, int] = {}
        # Rows of each tenant since the thread became overloaded; nothing of before counts.
        self._served: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many streams have a step that could run."""
        return len(self._waiting)

    @property
    def earliest_due_at_us(self) -> int | None:
        return min(self._waiting.values(), default=None)

    def is_waiting(self, slot: int) -> bool:
        return slot in self._waiting

    def enter(self, slot: int, *, tenant: str, is_replay: bool = False) -> None:
        """A stream begins in a slot. `is_replay`: its first audio was heard before, by an engine that was lost."""
        self.forget(slot)
        self._clocks[slot] = _Clock(tenant, is_replay)

    def forget(self, slot: int) -> None:
        """The slot changed hands: it waits for nothing and its clock is gone."""
        self._clocks.pop(slot, None)
        self._waiting.pop(slot, None)

    def mark_ready(self, slot: int, now_us: int) -> None:
        """The audio that completes a step of this slot came at `now_us`. Saying it again changes nothing."""
        if slot not in self._waiting:
            self._waiting[slot] = max(now_us, self._due_by_pace(slot, now_us))

    def mark_still_ready(self, slot: int, now_us: int) -> None:
        """The slot was stepped, and the audio of its next step was there before `now_us`: it may be late already."""
        if slot not in self._waiting:
            self._waiting[slot] = self._due_by_pace(slot, now_us)

    def _due_by_pace(self, slot: int, now_us: int) -> int:
        previous = self._clocks[slot].previous_due_at_us
        return now_us if previous is None else min(previous + self.step_us, now_us + self._max_lead_us)

    def caught_up(self, slot: int) -> None:
        """Nothing more of this stream's audio waits: if it was a replay, it is live from here on."""
        self._clocks[slot].is_replay = False

    def take(self, now_us: int, *, surplus_rows: int) -> list[int]:
        """The slots of the next step, at most `max_batch`, and none if nothing waits. They no longer wait.

        Args:
            surplus_rows: how many steps that are not due may take part; at least one does where nothing is due.
        """
        due = [slot for slot, due_at_us in self._waiting.items() if due_at_us <= now_us]
        ahead = [slot for slot, due_at_us in self._waiting.items() if due_at_us > now_us]
        batch = self._due_rows(due, now_us)
        room = min(self.max_batch - len(batch), max(surplus_rows, 0 if batch else 1))
        if ahead and room:
            batch += heapq.nsmallest(room, ahead, key=self._surplus_order)
        for slot in batch:
            self._clocks[slot].previous_due_at_us = self._waiting.pop(slot)
        return batch

    def _due_rows(self, due: list[int], now_us: int) -> list[int]:
        is_late = any(self._waiting[slot] <= now_us - self.step_us for slot in due)
        if not is_late:
            self._served.clear()
        if is_late and len(due) > self.max_batch:
            return self._in_turns(due)
        return heapq.nsmallest(self.max_batch, due, key=self._due_order)

    def _in_turns(self, due: Iterable[int]) -> list[int]:
        """The tenant that was served least since the overload began comes next, with its earliest step."""
        queues: dict[str, list[int]] = {}
        for slot in sorted(due, key=self._due_order, reverse=True):
            queues.setdefault(self._clocks[slot].tenant, []).append(slot)
        # A tenant that had nothing to ask for meanwhile has no claim to what it did not ask for.
        least = min((self._served[tenant] for tenant in queues if tenant in self._served), default=0)
        for tenant in queues:
            self._served.setdefault(tenant, least)
        turns = [(self._served[tenant], self._waiting[queue[-1]], tenant) for tenant, queue in queues.items()]
        heapq.heapify(turns)
        batch: list[int] = []
        while len(batch) < self.max_batch and turns:
            served, _, tenant = heapq.heappop(turns)
            queue = queues[tenant]
            batch.append(queue.pop())
            self._served[tenant] = served + 1
            if queue:
                heapq.heappush(turns, (served + 1, self._waiting[queue[-1]], tenant))
        return batch

    def _due_order(self, slot: int) -> tuple[int, int]:
        return self._waiting[slot], slot

    def _surplus_order(self, slot: int) -> tuple[bool, int, int]:
        return not self._clocks[slot].is_replay, self._waiting[slot], slot
