"""What lint has to say: one finding, for people and for programs. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    error = "error"
    """It would do harm in force, or cannot be in force."""
    warning = "warning"
    """Somebody should look at it soon."""
    note = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them.

    Attributes:
        check: its name, which does not change.
        place: file and line, row or rule.
        sentence: what is the matter.
        advice: what to do about it.
    """

    severity: Severity
    check: str
    place: str
    sentence: str
    advice: str
