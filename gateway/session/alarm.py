"""When a session must be looked at next. Pure; its parts share one."""

from __future__ import annotations


class Alarm:
    """`due_ms` may be too early, never too late."""

    __slots__ = ("due_ms",)

    def __init__(self, due_ms: int) -> None:
        self.due_ms = due_ms

    def at(self, at_ms: int) -> None:
        """Something is to be done then, or was to be done before."""
        if at_ms < self.due_ms:
            self.due_ms = at_ms
