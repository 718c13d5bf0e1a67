"""What can go wrong with the record of usage. None of it stops a session."""

from __future__ import annotations


class MeteringError(Exception):
    """Base."""


class JournalFailed(MeteringError):
    """What was written is not on the disk: it is full, broken, or does not answer. The journal tries again by itself.

    `reason` is the name of the errno in small letters (`enospc`, `eio`), `timeout` or `closed`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the journal could not be written: {reason}")
        self.reason = reason


class JournalUnusable(MeteringError):
    """The journal cannot be opened: another process has it, or its directory cannot be written. Told at start."""
