"""Times of day: "half past three p m", "seven oh five a m", "three o'clock".

Two numbers are a time only where something says so: a m or p m, a part of the day, or a word such as "at" before them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.text.cardinals import below_hundred
from engines.text.number_words import DENOMINATORS, DIGITS, NUMBER_WORDS, SCALES, SPOKEN_ZERO, TEENS
from engines.text.tape import Item

if TYPE_CHECKING:
    from engines.text.cardinals import Number
    from engines.text.tape import Tape

_BEFORE_A_TIME = frozenset({"at", "until", "till", "by", "around"})
_BEFORE_MINUTES_TO = frozenset({"at", "until", "till", "by", "around", "is", "it's", "was"})
_PARTS_OF_DAY = frozenset({"morning", "afternoon", "evening"})
_COUNTED = frozenset({"dollars", "euros", "pounds", "cents", "percent", "degrees", "point", "and", SPOKEN_ZERO})
"""What follows an amount, not a time."""
_ROUND_MINUTES = frozenset({5, 10, 20, 25})


def clock_time(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Read a time of day."""
    return _around_the_hour(tape, at) or _hour_first(tape, at)


def _around_the_hour(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Read "half past three", "a quarter to five", "ten past six"."""
    word = tape.peek(at)
    place = at + 1
    if word == "a" and tape.peek(place) == "quarter":
        word, place = "quarter", place + 1
    if word == "half":
        minutes = 30
    elif word == "quarter":
        minutes = 15
    else:
        number = below_hundred(tape, at)
        if number is None or number.value not in _ROUND_MINUTES:
            return None
        minutes, place = number.value, number.end
    direction = tape.peek(place)
    if direction != "past" and (direction != "to" or minutes == 30):
        return None
    hour = _hour(tape, place + 1)
    if hour is None:
        return None
    half_of_day = _half_of_day(tape, hour.end)
    if direction == "to":
        if minutes != 15 and not half_of_day and tape.before(at) not in _BEFORE_MINUTES_TO:
            return None  # "from ten to five"
        written = f"{(hour.value - 2) % 12 + 1}:{60 - minutes}"
    else:
        written = f"{hour.value}:{minutes:02}"
    return (Item(written, at, hour.end), *half_of_day)


def _hour_first(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Read "three o'clock", "three p m", "seven forty two in the morning", "at seven forty two"."""
    hour = _hour(tape, at)
    if hour is None:
        return None
    if tape.peek(hour.end) == "o'clock":
        behind = hour.end + 1
        return (Item(str(hour.value), at, hour.end), Item("o'clock", hour.end, behind), *_half_of_day(tape, behind))
    half_of_day = _half_of_day(tape, hour.end)
    if half_of_day:
        return (Item(str(hour.value), at, hour.end), *half_of_day)
    minutes = _minutes(tape, hour.end)
    if minutes is None:
        return None
    half_of_day = _half_of_day(tape, minutes.end)
    if not half_of_day and not _has_part_of_day(tape, minutes.end):
        if tape.before(at) not in _BEFORE_A_TIME:
            return None
        following = tape.peek(minutes.end)
        if following in NUMBER_WORDS or following in SCALES or following in _COUNTED or following in DENOMINATORS:
            return None
    return (Item(f"{hour.value}:{minutes.value:02}", at, minutes.end), *half_of_day)


def _hour(tape: Tape, at: int) -> Number | None:
    number = below_hundred(tape, at) if tape.peek(at) in DIGITS or tape.peek(at) in TEENS else None
    return number if number and 1 <= number.value <= 12 else None


def _minutes(tape: Tape, at: int) -> Number | None:
    if tape.peek(at) == SPOKEN_ZERO:
        return below_hundred(tape, at + 1) if DIGITS.get(tape.peek(at + 1)) else None
    number = below_hundred(tape, at)
    return number if number and 10 <= number.value <= 59 else None


def _half_of_day(tape: Tape, at: int) -> tuple[Item, ...]:
    word = tape.peek(at)
    if word in ("am", "pm"):
        return (Item(f"{word[0]}.m.", at, at + 1),)
    if word in ("a", "p") and tape.peek(at + 1) == "m":
        return (Item(f"{word}.m.", at, at + 2),)
    return ()


def _has_part_of_day(tape: Tape, at: int) -> bool:
    word = tape.peek(at)
    if word == "tonight":
        return True
    return word == "in" and tape.peek(at + 1) == "the" and tape.peek(at + 2) in _PARTS_OF_DAY
