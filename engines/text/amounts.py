"""Money, percentages, decimals and simple fractions: "twenty five dollars and ten cents", "two thirds"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.text.cardinals import below_hundred, cardinal, decimal_places, written
from engines.text.number_words import DENOMINATORS, MULTIPLIERS, NUMBER_WORDS, SCALES
from engines.text.tape import Item

if TYPE_CHECKING:
    from engines.text.cardinals import Number
    from engines.text.tape import Tape

_CURRENCIES = {"dollar": "$", "dollars": "$", "euro": "€", "euros": "€", "pound": "£", "pounds": "£"}
_SMALL_COINS = frozenset({"cent", "cents", "pence"})
_WEIGHING = frozenset({"weigh", "weighs", "weighed", "weighing", "lose", "lost", "gain", "gained"})
"""Behind these, pounds are a weight."""


class _Amount(NamedTuple):
    written: str
    end: int
    scale: str = ""
    """A multiplier that stays a word, behind a decimal: "2.5 million"."""

    def items(self, at: int) -> tuple[Item, ...]:
        if not self.scale:
            return (Item(self.written, at, self.end),)
        return Item(self.written, at, self.end - 1), Item(self.scale, self.end - 1, self.end)


def amount(tape: Tape, at: int) -> tuple[Item, ...] | None:
    """Read money, a percentage, a decimal or a fraction; nothing where there is only a number."""
    number = cardinal(tape, at)
    if number is None:
        return None
    decimal = _decimal(tape, number)
    found = decimal or _Amount(written(number.value), number.end)
    unit = tape.peek(found.end)
    if unit == "percent":
        return (Item(f"{found.written}%", at, found.end + 1),) if not found.scale else None
    if unit == "per" and tape.peek(found.end + 1) == "cent" and not found.scale:
        return (Item(f"{found.written}%", at, found.end + 2),)
    if unit in _CURRENCIES or unit in _SMALL_COINS:
        money = _money(tape, at, found, unit)
        if money is not None:
            return money
    return decimal.items(at) if decimal else _fraction(tape, at, number)


def _decimal(tape: Tape, whole: Number) -> _Amount | None:
    """Read "point one four" behind a number, or "and a half"."""
    joint = tape.peek(whole.end)
    if joint == "and":
        if tape.peek(whole.end + 1) != "a" or tape.peek(whole.end + 2) != "half":
            return None
        digits, end = "5", whole.end + 3
    elif joint == "point":
        digits, end = decimal_places(tape, whole.end + 1)
        if not digits:
            pair = below_hundred(tape, whole.end + 1)
            if pair is None or tape.peek(pair.end) in SCALES:
                return None
            digits, end = str(pair.value), pair.end
    else:
        return None
    text = f"{written(whole.value)}.{digits}"
    scale = tape.peek(end)
    return _Amount(text, end + 1, scale) if scale in MULTIPLIERS else _Amount(text, end)


def _money(tape: Tape, at: int, found: _Amount, unit: str) -> tuple[Item, ...] | None:
    before = tape.before(at)
    if before in NUMBER_WORDS or before in SCALES:
        return None  # "seven fifty dollars": nobody knows
    if unit in _SMALL_COINS:
        return (*found.items(at), Item(unit, found.end, found.end + 1))
    sign = _CURRENCIES[unit]
    behind = found.end + 1
    if sign == "£" and (before in _WEIGHING or tape.peek(behind) == "of"):
        return None
    if found.scale:
        return Item(sign + found.written, at, found.end - 1), Item(found.scale, found.end - 1, behind)
    if "." in found.written:
        return (Item(sign + _two_places(found.written), at, behind),)
    coins = below_hundred(tape, behind + (tape.peek(behind) == "and"))
    if coins is not None and tape.peek(coins.end) in _SMALL_COINS:
        return (Item(f"{sign}{_grouped(found.written)}.{coins.value:02}", at, coins.end + 1),)
    return (Item(sign + _grouped(found.written), at, behind),)


def _grouped(whole: str) -> str:
    return f"{int(whole.replace(',', '')):,}"


def _two_places(decimal: str) -> str:
    whole, _, fraction = decimal.partition(".")
    return f"{_grouped(whole)}.{fraction.ljust(2, '0')}"


def _fraction(tape: Tape, at: int, numerator: Number) -> tuple[Item, ...] | None:
    """Read "two thirds"; the numerator is one digit, so that "twenty fifths" stays what it is."""
    denominator = DENOMINATORS.get(tape.peek(numerator.end))
    if denominator is None or not 1 < numerator.value < denominator:
        return None
    return (Item(f"{numerator.value}/{denominator}", at, numerator.end + 1),)
