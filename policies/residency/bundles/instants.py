"""Instants: RFC 3339 and Unix seconds. Whole seconds only, so that each side of a date is a second of its own.

Nothing here asks what time it is.
"""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

FAR_S = 253_402_300_800
"""The first second of the year 10000, which no date of a bundle reaches: `never`."""

_DAY_S = 86_400
_TEXT = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?P<time>[Tt](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?P<fraction>\.[0-9]{1,9})?"
    r"(?P<offset>[Zz]|(?P<sign>[+-])(?P<offset_hours>[0-9]{2}):?(?P<offset_minutes>[0-9]{2})))?"
)
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@runtime_checkable
class DateAndTime(Protocol):
    """What a TOML reader makes of a date with a time: with an offset, `utcoffset()` is one; without, None."""

    def utcoffset(self) -> object: ...

    def timestamp(self) -> float: ...


def seconds_of(text: str, *, may_be_a_date: bool = False) -> int:
    """Unix seconds of a date and time with an offset, as in RFC 3339 or in a literal of Cedar's.

    Args:
        may_be_a_date: a date alone is its midnight in UTC, as Cedar has it.

    Raises:
        ValueError: no such instant, no offset, parts of a second, before 1970.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no date and time with an offset, like 2026-01-31T00:00:00Z")
    if found["time"] is None and not may_be_a_date:
        raise ValueError(f"{text!r} has no time and no offset")
    days = _days_since_1970(int(found["year"]), int(found["month"]), int(found["day"]))
    at_s = days * _DAY_S
    if found["time"] is not None:
        at_s += _second_of_day(found)
    if not 0 <= at_s < FAR_S:
        raise ValueError(f"{text!r} is not between the years 1970 and 9999")
    return at_s


def seconds_of_toml(value: object) -> int:
    """The same of what a TOML reader made of a date and time.

    Raises:
        ValueError: it is something else, or as above.
    """
    if not isinstance(value, DateAndTime):
        raise ValueError(
            "is no date and time with an offset, like 2026-01-31T00:00:00Z (without quotes)"
        )  # one kind of error for all that a file says
    if value.utcoffset() is None:
        raise ValueError("has no offset: say Z, or how far from UTC")
    at_s = value.timestamp()
    if not 0 <= at_s < FAR_S:
        raise ValueError("is not between the years 1970 and 9999")
    if at_s != int(at_s):
        raise ValueError("has parts of a second: dates are whole seconds")
    return int(at_s)


def is_date(text: str) -> bool:
    """Whether it is a day of the calendar, like 2026-01-31."""
    if len(text) != 10:  # YYYY-MM-DD
        return False
    try:
        seconds_of(text, may_be_a_date=True)
    except ValueError:
        return False
    return True


def text_of(at_s: int) -> str:
    """`2026-01-31T00:00:00Z`.

    Raises:
        ValueError: not between the years 1970 and 9999.
    """
    if not 0 <= at_s < FAR_S:
        raise ValueError(f"{at_s} is not between the years 1970 and 9999")
    days, rest_s = divmod(at_s, _DAY_S)
    year, month, day = _civil_from_days(days)
    hour, rest_s = divmod(rest_s, 3600)
    minute, second = divmod(rest_s, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def _second_of_day(found: re.Match[str]) -> int:
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if hour > 23 or minute > 59 or second > 59:  # a clock's
        raise ValueError(f"{found[0]!r}: there is no such time of day")
    if found["fraction"] and found["fraction"].strip(".0"):
        raise ValueError(f"{found[0]!r} has parts of a second: dates are whole seconds")
    offset_s = 0
    if found["sign"]:
        offset_hours, offset_minutes = int(found["offset_hours"]), int(found["offset_minutes"])
        if offset_hours > 23 or offset_minutes > 59:  # a clock's
            raise ValueError(f"{found[0]!r}: there is no such offset")
        offset_s = (offset_hours * 60 + offset_minutes) * 60 * (1 if found["sign"] == "+" else -1)
    return (hour * 60 + minute) * 60 + second - offset_s


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Source: Howard Hinnant, chrono-compatible low-level date algorithms; checked against datetime in the tests."""
    if not 1 <= month <= 12:  # months of a year
        raise ValueError(f"{year:04}-{month:02}-{day:02}: there is no such month")
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS_IN_MONTH[month - 1] + (month == 2 and is_leap):  # February
        raise ValueError(f"{year:04}-{month:02}-{day:02}: there is no such day")
    from_march = year - (month <= 2)  # a year that begins in March has its leap day last
    era, year_of_era = divmod(from_march, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def _civil_from_days(days: int) -> tuple[int, int, int]:
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * from_march + 2) // 5 + 1
    month = (from_march + 2) % 12 + 1
    return year_of_era + era * 400 + (month <= 2), month, day  # as above
