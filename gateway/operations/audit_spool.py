"""Audit events that could not be delivered yet, in a file of the gateway's own: bounded, the oldest go first."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from gateway.operations.audit_event import AuditEvent, decode_event, encode_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_EVENTS = 1_000


class AuditSpool:
    """Without a path it is in memory alone. Every method may be called from another thread, one at a time.

    What a file that cannot be written would have held stays in memory: `error` says why, until a write succeeds.
    """

    def __init__(self, path: Path | None, *, max_events: int = MAX_EVENTS) -> None:
        self._path = path
        self._events: deque[AuditEvent] = deque(maxlen=max_events)
        self.error = ""
        if path is not None:
            self._events.extend(_read(path))

    def __len__(self) -> int:
        return len(self._events)

    @property
    def events(self) -> tuple[AuditEvent, ...]:
        """Oldest first."""
        return tuple(self._events)

    def add(self, event: AuditEvent) -> bool:
        """On the disk when this returns. Whether all are kept: False where the oldest one had to go."""
        has_room = len(self._events) < (self._events.maxlen or 0)
        self._events.append(event)
        self._write()
        return has_room

    def delivered(self, events: Sequence[AuditEvent]) -> None:
        """These are elsewhere."""
        ids = {event.id for event in events}
        self._events = deque((event for event in self._events if event.id not in ids), self._events.maxlen)
        self._write()

    def _write(self) -> None:
        """The whole file: it is small, and acts are rare."""
        if self._path is None:
            return
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(encode_event(event) + b"\n" for event in self._events)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            self.error = type(error).__name__
        else:
            self.error = ""


def _read(path: Path) -> list[AuditEvent]:
    """What can be read of it."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [event for line in lines if (event := decode_event(line)) is not None]
