"""The loop that all polled sources share: ask, tell what is new, wait; longer while the source is away."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Protocol

from engines.preemption.asking import SourceAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.preemption.interface import NoticeListener
    from policies.preemption import PreemptionNotice

_LONGEST_WAIT_S = 30.0
_MOST_DOUBLINGS = 16


class Polled(Protocol):
    """A source that is asked again and again."""

    @property
    def name(self) -> str: ...

    async def poll(self) -> Sequence[PreemptionNotice]:
        """Everything that is pending. Raises SourceAway."""


async def watch(source: Polled, listener: NoticeListener, *, interval_s: float) -> None:
    """Until cancelled. A source that is away is asked less and less often, at the least every half minute."""
    teller = Teller(source.name, listener)
    while True:
        try:
            pending = await source.poll()
        except SourceAway as error:
            teller.away(str(error))
        else:
            teller.heard(pending)
        await asyncio.sleep(wait_s(interval_s, teller.failures))


def wait_s(interval_s: float, failures: int) -> float:
    """Before the next question, after so many that were not answered in a row; with jitter then."""
    if not failures:
        return interval_s
    longest_s = max(interval_s, _LONGEST_WAIT_S)
    backed_off_s: float = min(longest_s, interval_s * 2 ** min(failures - 1, _MOST_DOUBLINGS))
    return backed_off_s * random.uniform(0.75, 1.0)


class Teller:
    """Tells the listener of each event once, and of each change between away and back once."""

    def __init__(self, name: str, listener: NoticeListener) -> None:
        self._name = name
        self._listener = listener
        self._told: set[str] = set()
        self._has_answered = False
        self.failures = 0
        """Questions in a row that were not answered."""

    def heard(self, pending: Sequence[PreemptionNotice]) -> None:
        """Everything that is pending now: what is not there any more is withdrawn."""
        if self.failures or not self._has_answered:
            self._has_answered = True
            self._listener.source_back(self._name)
        self.failures = 0
        standing = {notice.event_id for notice in pending}
        for event_id in sorted(self._told - standing):
            self._listener.withdrawn(self._name, event_id)
        for notice in pending:
            if notice.event_id not in self._told:
                self._listener.noticed(notice)
        self._told = standing

    def away(self, error: str) -> None:
        if not self.failures:
            self._listener.source_away(self._name, error)
        self.failures += 1
