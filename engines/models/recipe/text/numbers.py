"""Numbers as they are spoken: cardinals, ordinals, digit strings, minutes past the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.models.recipe.text.words import ORDINALS, TENS, UNITS

if TYPE_CHECKING:
    from random import Random

_SPOKEN_AND_SHARE = 0.3  # "two hundred and five" beside "two hundred five"
_SPOKEN_OH_SHARE = 0.4  # of digit strings, those that say "oh" for zero
_SPOKEN_DOUBLE_SHARE = 0.03  # of digits, those said twice: "double seven"


def cardinal(value: int, rng: Random) -> str:
    """Words of 0 <= value < 1,000,000,000; the dice decide only about "and" after hundreds."""
    if value < 20:
        return UNITS[value]
    if value < 100:
        return f"{TENS[value // 10]} {UNITS[value % 10] if value % 10 else ''}".strip()
    if value < 1_000:
        head, rest = f"{UNITS[value // 100]} hundred", value % 100
        if not rest:
            return head
        joint = " and " if rng.random() < _SPOKEN_AND_SHARE else " "
        return head + joint + cardinal(rest, rng)
    size, name = (1_000, "thousand") if value < 1_000_000 else (1_000_000, "million")
    head, rest = f"{cardinal(value // size, rng)} {name}", value % size
    return f"{head} {cardinal(rest, rng)}" if rest else head


def ordinal(day_of_month: int) -> str:
    """Words of 1..31 as in dates: "twenty first"."""
    if day_of_month <= 20:
        return ORDINALS[day_of_month]
    if day_of_month == 30:
        return "thirtieth"
    return f"{TENS[day_of_month // 10]} {ORDINALS[day_of_month % 10]}"


def digit_string(rng: Random, *, shortest: int, longest: int) -> str:
    """Random digits one by one; zero is "zero" or, for the whole string, "oh"; now and then "double five"."""
    zero = "oh" if rng.random() < _SPOKEN_OH_SHARE else "zero"
    said = []
    for _ in range(rng.randint(shortest, longest)):
        digit = rng.randint(0, 9)
        word = zero if digit == 0 else UNITS[digit]
        said.append(f"double {word}" if rng.random() < _SPOKEN_DOUBLE_SHARE else word)
    return " ".join(said)


def minute_of_hour(rng: Random) -> str:
    """What follows the hour in "seven oh five" and "seven forty two"."""
    minute = rng.randint(1, 59)
    return cardinal(minute, rng) if minute >= 10 else f"oh {UNITS[minute]}"
