"""Sessions that wanted a slot in this region and have none here: demand that no engine can report. Pure: told the time.

A session counts while it waits or is served elsewhere for want of a slot here, and for a while after it was refused and
went away: its caller is likely to come again. It counts once, however often it asks. Memory is bounded by the sessions
that a gateway has, and by `MAX_REMEMBERED` of those that went away.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

MAX_REMEMBERED = 4_096


@dataclass(slots=True)
class _Session:
    model: str
    is_served_elsewhere: bool = False


class UnmetDemand:
    """Of one gateway: others refuse sessions that this one never hears of.

    Args:
        remembered_ms: for how long a refused session counts.
    """

    def __init__(self, remembered_ms: int = 30_000) -> None:
        self.remembered_ms = remembered_ms
        self._here: dict[str, _Session] = {}
        self._gone: deque[tuple[int, str]] = deque(maxlen=MAX_REMEMBERED)
        """(when, model)."""

    def wanted(self, session_id: str, model: str) -> None:
        """It asked, and there was no slot for it here. `model`: as it asked for it; empty: any."""
        self._here[session_id] = _Session(model)

    def served(self, session_id: str, *, is_here: bool) -> None:
        """It has a slot: here, and then nothing is unmet, or in another region."""
        if is_here:
            self._here.pop(session_id, None)
        elif (session := self._here.get(session_id)) is not None:
            session.is_served_elsewhere = True

    def closed(self, session_id: str, now_ms: int) -> None:
        session = self._here.pop(session_id, None)
        if session is not None and not session.is_served_elsewhere:
            self._gone.append((now_ms, session.model))

    def by_model(self, now_ms: int) -> dict[str, int]:
        """How many, by the model that they asked for."""
        while self._gone and now_ms - self._gone[0][0] > self.remembered_ms:
            self._gone.popleft()
        counts = Counter(session.model for session in self._here.values())
        counts.update(model for _, model in self._gone)
        return dict(counts)
