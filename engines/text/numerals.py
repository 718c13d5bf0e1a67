"""Inverse text normalisation for English: numbers, money, dates and times in digits.

Where it is not clear what was meant, words stay as they are or numbers stand side by side:
  - a single digit alone stays a word ("one of us", "two people"), and so do "first" to "ninth";
  - two digits or more, said one by one, are one string of digits ("one two" is "12");
  - numbers that form nothing together are written one after the other ("seven forty two" is "7 42").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.text.amounts import amount
from engines.text.cardinals import cardinal, digit_string, ordinal, written, year
from engines.text.clock_times import clock_time
from engines.text.dates import day_first, month_first
from engines.text.number_words import (
    DIGITS,
    MONTHS,
    NUMBER_WORDS,
    ORDINAL_DIGITS,
    ORDINAL_TEENS_AND_TENS,
    REPEATS,
    SPOKEN_ZERO,
    TENS,
)
from engines.text.tape import Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.text.tape import Tape

    Rule = Callable[[Tape, int], tuple[Item, ...] | None]

_ORDINAL_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_BEFORE_AN_ORDINAL = frozenset({"the", "my", "your", "his", "her", "our", "their", "on"})
_LEAST_ORDINAL = 10
_LEAST_DIGITS_OF_A_PLUS = 7
"""Behind "plus" so many digits are a telephone number, fewer are arithmetic."""


def rewrite(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Write what begins at a word in digits, or nothing where the word stays as it is."""
    rules = _rules(tape.peek(at))
    for rule in rules:
        items = rule(tape, at)
        if items is not None:
            return items
    return None


def may_begin(word: str) -> bool:
    """Whether anything that is rewritten begins with this word."""
    return word in _BEGINNINGS or (not word.isalpha() and word.partition("-")[0] in TENS)


def _rules(word: str) -> tuple[Rule, ...]:
    if word in MONTHS:
        return (month_first,)
    if word == "the":
        return (day_first,)
    if word == "plus":
        return (_international_number,)
    if word in REPEATS or word == SPOKEN_ZERO:
        return (_string,)
    if word in ("half", "quarter"):
        return (clock_time,)
    if word == "a":
        return (clock_time, amount, _count)
    if word in ORDINAL_DIGITS or word in ORDINAL_TEENS_AND_TENS:
        return day_first, _rank
    return _NUMBER_RULES


def _string(tape: Tape, at: int) -> tuple[Item, ...] | None:
    digits, end = digit_string(tape, at)
    has_loose_zero = tape.peek(at) == SPOKEN_ZERO or (bool(digits) and tape.words[end - 1] == SPOKEN_ZERO)
    if len(digits) < (3 if has_loose_zero else 2):
        return None
    return (Item(_telephone_style(digits), at, end),)


def _telephone_style(digits: str) -> str:
    """Set the parts of a North American number apart: 415-555-0123."""
    national = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    if len(national) != 10 or national[0] in "01" or national[3] in "01":
        return digits
    return f"{digits[:-10]}{'-' if len(digits) == 11 else ''}{national[:3]}-{national[3:6]}-{national[6:]}"


def _international_number(tape: Tape, at: int) -> tuple[Item, ...] | None:
    digits, end = digit_string(tape, at + 1)
    return (Item(f"+{digits}", at, end),) if len(digits) >= _LEAST_DIGITS_OF_A_PLUS else None


def _rank(tape: Tape, at: int) -> tuple[Item, ...] | None:
    number = ordinal(tape, at)
    if number is None or number.value < _LEAST_ORDINAL:
        return None
    if tape.words[number.end - 1] == "second" and tape.before(at) not in _BEFORE_AN_ORDINAL:
        return None  # "a twenty second timer"
    is_teen = number.value // 10 % 10 == 1
    ending = "th" if is_teen else _ORDINAL_ENDINGS.get(number.value % 10, "th")
    return (Item(f"{number.value}{ending}", at, number.end),)


def _year(tape: Tape, at: int) -> tuple[Item, ...] | None:
    number = year(tape, at)
    return (Item(str(number.value), at, number.end),) if number else None


def _count(tape: Tape, at: int) -> tuple[Item, ...] | None:
    number = cardinal(tape, at)
    if number is None:
        return None
    if tape.peek(at) == "a" and number.end == at + 2:
        return None  # "a hundred", "thanks a million"
    is_alone = tape.before(at) not in NUMBER_WORDS and tape.peek(number.end) not in NUMBER_WORDS
    if number.end == at + 1 and number.value in DIGITS.values() and is_alone:
        return None
    return (Item(written(number.value), at, number.end),)


_NUMBER_RULES: tuple[Rule, ...] = (clock_time, amount, day_first, _rank, _string, _year, _count)
_BEGINNINGS = frozenset(
    {
        *NUMBER_WORDS,
        *MONTHS,
        *REPEATS,
        *ORDINAL_DIGITS,
        *ORDINAL_TEENS_AND_TENS,
        SPOKEN_ZERO,
        "a",
        "half",
        "plus",
        "quarter",
        "the",
    }
)
