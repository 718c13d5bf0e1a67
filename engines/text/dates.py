"""Dates: "january third twenty twenty six", "the third of january", "december twenty twenty five"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.text.cardinals import below_hundred, ordinal, year
from engines.text.number_words import MONTHS, MONTHS_THAT_ARE_VERBS
from engines.text.tape import Item

if TYPE_CHECKING:
    from engines.text.cardinals import Number
    from engines.text.tape import Tape

_BEFORE_A_MONTH = frozenset({"in", "of", "since", "until", "till", "by", "on", "last", "next", "this"})
_LAST_DAY = 31


def month_first(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Read a date that begins with its month."""
    month = tape.peek(at)
    is_surely_a_month = month not in MONTHS_THAT_ARE_VERBS or tape.before(at) in _BEFORE_A_MONTH
    written_month = Item(month.capitalize(), at, at + 1)
    day = _ordinal_day(tape, at + 1 + (tape.peek(at + 1) == "the"))
    is_ordinal = day is not None
    if day is None:
        day = _day(below_hundred(tape, at + 1))
    if day is not None:
        in_year = year(tape, day.end)
        if in_year is not None:
            written_day = Item(f"{day.value},", at + 1, day.end)
            return written_month, written_day, Item(str(in_year.value), day.end, in_year.end)
    in_year = year(tape, at + 1)
    if in_year is not None and is_surely_a_month:
        return written_month, Item(str(in_year.value), at + 1, in_year.end)
    if day is not None and (is_ordinal or is_surely_a_month):
        return written_month, Item(str(day.value), at + 1, day.end)
    return None


def day_first(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Read "the third of january", with or without the article and a year."""
    day = _ordinal_day(tape, at + (tape.peek(at) == "the"))
    if day is None or tape.peek(day.end) != "of":
        return None
    month = tape.peek(day.end + 1)
    if month not in MONTHS:
        return None
    behind = day.end + 2
    written = Item(str(day.value), at, day.end + 1), Item(month.capitalize(), day.end + 1, behind)
    in_year = year(tape, behind)
    return written if in_year is None else (*written, Item(str(in_year.value), behind, in_year.end))


def _ordinal_day(tape: Tape, at: int) -> Number | None:
    return _day(ordinal(tape, at))


def _day(number: Number | None) -> Number | None:
    return number if number and 1 <= number.value <= _LAST_DAY else None
