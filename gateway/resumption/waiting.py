"""What is to be written of many sessions: of each only the newest, so there is never more than one a session. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.resumption.interface import CommitPoint


class WaitingPoints:
    """Points that are not written yet; `finished` ones are written last, and nothing of that session after them.

    At most `capacity` sessions: beyond it the one that has waited longest is dropped, and counted.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._points: dict[str, CommitPoint] = {}
        self._finished: dict[str, CommitPoint] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._points) + len(self._finished)

    def put(self, point: CommitPoint) -> None:
        self._points[point.session_id] = point
        if len(self._points) > self._capacity:
            del self._points[next(iter(self._points))]
            self.dropped += 1

    def put_finished(self, point: CommitPoint) -> None:
        self._finished[point.session_id] = point
        if len(self._finished) > self._capacity:
            del self._finished[next(iter(self._finished))]
            self.dropped += 1

    def take(self) -> tuple[list[CommitPoint], list[CommitPoint]]:
        """All of them: those to write, then the finished."""
        points, finished = list(self._points.values()), list(self._finished.values())
        self._points, self._finished = {}, {}
        return points, finished

    def put_back(self, points: Iterable[CommitPoint], finished: Iterable[CommitPoint]) -> None:
        """They could not be written; what came meanwhile is newer."""
        for point in points:
            if point.session_id not in self._points:
                self.put(point)
        for point in finished:
            if point.session_id not in self._finished:
                self.put_finished(point)

    def newest(self, session_id: str) -> CommitPoint | None:
        """Of a session, if any of it waits."""
        return self._points.get(session_id) or self._finished.get(session_id)

    def forget(self, session_id: str) -> None:
        """Another gateway has it."""
        self._points.pop(session_id, None)
        self._finished.pop(session_id, None)
