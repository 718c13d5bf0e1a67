"""JSON read so that two readers cannot disagree: no member twice, no NaN, no number that overflows."""

from __future__ import annotations

import json
import math
from typing import Any


class NotStrictJson(ValueError):
    """The text is not JSON, or two readers could understand it differently. Says nothing of the text itself."""


def loads(text: bytes) -> Any:
    """Read one JSON value, UTF-8 without a byte order mark.

    Raises:
        NotStrictJson: also for a member given twice at any depth, `NaN`, `Infinity`, 1e999, or nesting too deep.
    """
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        pass
    # Outside the handler: the library's error holds the text that it could not read.
    raise NotStrictJson("not a JSON text in which every member is given once")


def _members_given_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJson("a member is given twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise NotStrictJson("not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotStrictJson("a number is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_members_given_once, parse_constant=_refuse_constant, parse_float=_finite)
