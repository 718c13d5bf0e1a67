"""The events that the exporter holds for one sink, ready or waiting for their next attempt. Pure.

Bounded by whoever adds: `room` says how many more there may be. Times are given.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.metering.entries import UsageEvent
    from gateway.metering.exporter.sent_log import Source


@dataclass(slots=True, eq=False)
class HeldEvent:
    """`sources`: the entries that carry it, more than one where it was recorded again; none: a dead letter's retry.

    `batch_limit`: it goes out with at most so many, halved when a batch is refused as a whole, until the one at fault
    stands alone.
    """

    event_id: str
    event: UsageEvent
    sources: list[Source]
    first_try_at_ms: int | None = None
    attempts: int = 0
    batch_limit: int = 1_000_000
    may_have_arrived: bool = False
    times_reported: int = 0


@dataclass(slots=True)
class HeldEvents:
    max_events: int
    _by_id: dict[str, HeldEvent] = field(default_factory=dict)
    _ready: deque[HeldEvent] = field(default_factory=deque)
    _waiting: list[tuple[int, int, HeldEvent]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _entries: set[Source] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def room(self) -> int:
        return max(0, self.max_events - len(self._entries))

    def carries(self, source: Source) -> bool:
        return source in self._entries

    def add(self, held: HeldEvent) -> bool:
        """False: the same event is held, and now has this one's entries too."""
        self._entries.update(held.sources)
        known = self._by_id.get(held.event_id)
        if known is not None:
            known.sources += [source for source in held.sources if source not in known.sources]
            return False
        self._by_id[held.event_id] = held
        self._ready.append(held)
        return True

    def take(self, limit: int, *, now_ms: int) -> list[HeldEvent]:
        """The next batch, oldest first; empty when none is ready."""
        while self._waiting and self._waiting[0][0] <= now_ms:
            self._ready.append(heapq.heappop(self._waiting)[2])
        batch: list[HeldEvent] = []
        while self._ready and len(batch) < min(limit, self._ready[0].batch_limit):
            limit = min(limit, self._ready[0].batch_limit)
            batch.append(self._ready.popleft())
        return batch

    def next_at_ms(self, *, now_ms: int) -> int | None:
        """When one is ready; None: never, by itself."""
        if self._ready:
            return now_ms
        return self._waiting[0][0] if self._waiting else None

    def give_back(self, held: HeldEvent, *, at_ms: int) -> None:
        """It was taken, and is to be tried again then."""
        heapq.heappush(self._waiting, (at_ms, next(self._order), held))

    def drop(self, batch: Iterable[HeldEvent]) -> None:
        """They were taken, and are done with."""
        for held in batch:
            self._by_id.pop(held.event_id, None)
            self._entries.difference_update(held.sources)
