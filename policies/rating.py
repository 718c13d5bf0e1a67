"""What a usage event counts for on the bill: raters over plain numbers. Pure.

A session is rated as a whole: `rated_total` says how much a session that used so much counts for. An event counts for
what the session counts for with it, less what it counted for before. So the quantities of a session's events add up to
the session's own, however it is cut into events; no event's is negative, as no total ever falls; and an event that is
made again has the quantity it had.

Add-ons stack: each adds a line of its own with the same quantity, so that prices add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.plans import Rater

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK_MS = 15_000


class AddOn(StrEnum):
    """What a session may ask for beyond plain words (docs/protocol.md, `start`)."""

    beam = "beam"
    keywords = "keywords"
    numerals = "numerals"
    profanity = "profanity"
    punctuation = "punctuation"
    redaction = "redaction"


class Unit(StrEnum):
    """What is counted."""

    audio_second = "audio_second"
    connection_second = "connection_second"
    block_15s = "block_15s"

    @property
    def parts(self) -> int:
        """How many of a line's quantity make one unit: seconds are counted in thousandths, blocks are whole."""
        return 1 if self is Unit.block_15s else 1_000


@dataclass(frozen=True, slots=True)
class Used:
    """Of one session, up to some point or between two."""

    audio_ms: int
    connection_ms: int

    def __add__(self, other: Used) -> Used:
        return Used(self.audio_ms + other.audio_ms, self.connection_ms + other.connection_ms)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill. `item`: `recognition`, or the add-on's name. `quantity`: in parts of the unit."""

    item: str
    unit: Unit
    quantity: int

    @property
    def amount(self) -> str:
        """The quantity in units, exactly, as a decimal number."""
        whole, rest = divmod(self.quantity, self.unit.parts)
        return f"{whole}.{rest:03d}" if self.unit.parts > 1 else str(whole)


RECOGNITION = "recognition"


def rated_total(rater: Rater, used: Used) -> int:
    """What a session that used so much counts for in all, in parts of the rater's unit. Never falls as use rises.

    In blocks: those that are begun. A session is billed at all once audio of it was recognised, so it is one at least.
    """
    match rater:
        case Rater.audio_second:
            return used.audio_ms
        case Rater.connection_second:
            return used.connection_ms
        case Rater.block_15s:
            return -(-used.audio_ms // BLOCK_MS)


def rated(rater: Rater, used: Used, *, before: Used, add_ons: Iterable[str] = ()) -> tuple[Line, ...]:
    """The lines of one event, that of plain recognition first, then add-ons by name.

    Args:
        used: in the slices that the event covers.
        before: in all slices of the session before those.
        add_ons: names; one that is given twice counts once.
    """
    quantity = rated_total(rater, before + used) - rated_total(rater, before)
    unit = Unit(rater.value)
    return tuple(Line(item, unit, quantity) for item in (RECOGNITION, *sorted(set(add_ons))))
