"""Which streams take part in the next step: those whose step falls due first. PURE.

Each stream has a virtual clock. Its next step is due when the audio that completes it arrives, but not before one step
duration after its previous step was due. A live stream's steps are therefore due as they arrive; a stream that sends
faster than real time (a replay, a flood) gets its surplus only from capacity that no live stream wants.

These must stay true:
  - A waiting stream's due instant does not change, and nothing that begins to wait after that instant comes before
    it: whoever waits is served.
  - A due instant is at most `max_lead_us` away when the wait begins, so that a stream that caught up after a replay
    is not held behind the live ones for as long as its replay was.
  - Equal dues are served in the order of their slots.
"""

from __future__ import annotations

import heapq


class StepPlanner:
    """The waiting slots and their due instants. Instants are microseconds on any one monotonic clock."""

    def __init__(self, *, step_us: int, max_batch: int, max_lead_us: int) -> None:
        self._step_us = step_us
        self._max_batch = max_batch
        self._max_lead_us = max_lead_us
        self._due_at_us: dict[int, int] = {}
        self._previous_due_at_us: dict[int, int] = {}

    @property
    def has_waiting(self) -> bool:
        return bool(self._due_at_us)

    def is_waiting(self, slot: int) -> bool:
        return slot in self._due_at_us

    def mark_ready(self, slot: int, now_us: int) -> None:
        """A step of this slot could run from `now_us` on. Saying it again changes nothing."""
        if slot in self._due_at_us:
            return
        previous = self._previous_due_at_us.get(slot)
        if previous is None:
            self._due_at_us[slot] = now_us
        else:
            self._due_at_us[slot] = max(now_us, min(previous + self._step_us, now_us + self._max_lead_us))

    def forget(self, slot: int) -> None:
        """The slot changed hands: it waits for nothing and its clock starts anew."""
        self._due_at_us.pop(slot, None)
        self._previous_due_at_us.pop(slot, None)

    def take(self) -> list[int]:
        """The slots of the next step, at most `max_batch`, earliest due first. They no longer wait."""
        due = self._due_at_us
        batch = heapq.nsmallest(self._max_batch, due, key=lambda slot: (due[slot], slot))
        for slot in batch:
            self._previous_due_at_us[slot] = due.pop(slot)
        return batch
