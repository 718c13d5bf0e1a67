"""Whole numbers as English says them: "two hundred and five", "four oh double two", "twenty first", "nineteen ten".

Each function reads a tape from a place on, and gives a number and where its words end, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.text.number_words import (
    DIGITS,
    MULTIPLIERS,
    ORDINAL_DIGITS,
    ORDINAL_TEENS_AND_TENS,
    REPEATS,
    SCALES,
    SPOKEN_ZERO,
    TEENS,
    TENS,
)

if TYPE_CHECKING:
    from engines.text.tape import Tape

_YEAR_CENTURIES = {"seventeen": 1700, "eighteen": 1800, "nineteen": 1900, "twenty": 2000}
_LEAST_GROUPED = 10_000
"""From here on thousands are set apart by commas; below, years and house numbers look wrong with them."""


class Number(NamedTuple):
    value: int
    end: int
    """The first word behind it."""


def written(value: int) -> str:
    """Write in digits: 2026, 12,345."""
    return f"{value:,}" if value >= _LEAST_GROUPED else str(value)


def below_hundred(tape: Tape, at: int) -> Number | None:
    """Read 0 to 99."""
    word = tape.peek(at)
    value = DIGITS.get(word)
    if value is None:
        value = TEENS.get(word)
    if value is not None:
        return Number(value, at + 1)
    tens = TENS.get(word)
    if tens is None:
        return _hyphenated(word, at)
    unit = DIGITS.get(tape.peek(at + 1), 0)
    return Number(tens + unit, at + 2) if unit else Number(tens, at + 1)


def _hyphenated(word: str, at: int) -> Number | None:
    """Read "twenty-five" where a model writes it as one word."""
    tens, hyphen, unit = word.partition("-")
    if not hyphen or tens not in TENS or not DIGITS.get(unit):
        return None
    return Number(TENS[tens] + DIGITS[unit], at + 1)


def _below_ten_thousand(tape: Tape, at: int) -> Number | None:
    """Read a number in which hundreds may be counted: "two hundred and five", "twenty five hundred"."""
    if tape.peek(at) == "a":
        if tape.peek(at + 1) not in SCALES:
            return None
        head = Number(1, at + 1)
    else:
        found = below_hundred(tape, at)
        if found is None:
            return None
        head = found
    if not head.value or tape.peek(head.end) != "hundred":
        return head
    hundreds = Number(head.value * 100, head.end + 1)
    rest_at = hundreds.end + (tape.peek(hundreds.end) == "and")
    rest = below_hundred(tape, rest_at)
    if rest is None or not rest.value or tape.peek(rest.end) == "hundred" or _begins_a_string(tape, rest_at):
        return hundreds
    return Number(hundreds.value + rest.value, rest.end)


def _begins_a_string(tape: Tape, at: int) -> bool:
    """Whether digits follow one by one: "eight hundred five five five" is 800 and 555."""
    if tape.peek(at) not in DIGITS:
        return False
    behind = tape.peek(at + 1)
    return behind in DIGITS or behind == SPOKEN_ZERO or behind in REPEATS


def cardinal(tape: Tape, at: int) -> Number | None:
    """Read a number up to 999 billions; "a hundred" counts as one hundred."""
    part = _below_ten_thousand(tape, at)
    total, end, ceiling = 0, at, MULTIPLIERS["billion"] * 1_000
    while part is not None and part.value < ceiling:
        scale = MULTIPLIERS.get(tape.peek(part.end), 1)
        if scale >= ceiling or (end > at and not part.value):
            break
        total, end, ceiling = total + part.value * scale, part.end + (scale > 1), scale
        if scale == 1 or not part.value:
            break
        rest_at = end + (tape.peek(end) == "and")
        part = None if _begins_a_string(tape, rest_at) else _below_ten_thousand(tape, rest_at)
    return Number(total, end) if end > at else None


def ordinal(tape: Tape, at: int) -> Number | None:
    """Read "third", "tenth", "twenty first"."""
    word = tape.peek(at)
    value = ORDINAL_DIGITS.get(word) or ORDINAL_TEENS_AND_TENS.get(word)
    if value:
        return Number(value, at + 1)
    tens = TENS.get(word)
    unit = ORDINAL_DIGITS.get(tape.peek(at + 1)) if tens else None
    return Number(tens + unit, at + 2) if tens and unit else None


def year(tape: Tape, at: int) -> Number | None:
    """Read "nineteen eighty four", "twenty oh five", "two thousand and twenty six"."""
    century = _YEAR_CENTURIES.get(tape.peek(at))
    if century is None:
        number = cardinal(tape, at)
        return number if number and 2_000 <= number.value < 2_100 else None
    if tape.peek(at + 1) == SPOKEN_ZERO:
        unit = DIGITS.get(tape.peek(at + 2))
        return Number(century + unit, at + 3) if unit else None
    rest = below_hundred(tape, at + 1)
    if rest is None or rest.value < 10 or tape.peek(rest.end) in SCALES:
        return None
    return Number(century + rest.value, rest.end)


class DigitString(NamedTuple):
    """Digits said one by one."""

    digits: str
    end: int


def digit_string(tape: Tape, at: int) -> DigitString:
    """Read digits one by one, "oh" for zero, "double five" for two; maybe none.

    Of "one two hundred" only the "one" is read.
    """
    digits, end = "", at
    before_last = DigitString("", at)
    while piece := _digit(tape, end):
        before_last = DigitString(digits, end)
        digits, end = digits + piece.digits, piece.end
    return before_last if digits and tape.peek(end) in SCALES else DigitString(digits, end)


def decimal_places(tape: Tape, at: int) -> DigitString:
    """Read the digits behind a decimal point; a multiplier behind them multiplies the whole number."""
    digits, end = "", at
    while piece := _digit(tape, end):
        digits, end = digits + piece.digits, piece.end
    return DigitString(digits, end)


def _digit(tape: Tape, at: int) -> DigitString | None:
    word = tape.peek(at)
    times = REPEATS.get(word, 1)
    if times > 1:
        at += 1
        word = tape.peek(at)
    value = 0 if word == SPOKEN_ZERO else DIGITS.get(word)
    return None if value is None else DigitString(str(value) * times, at + 1)
