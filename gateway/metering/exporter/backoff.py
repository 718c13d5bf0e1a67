"""How long to wait before the next attempt. Pure; the dice are given."""

from __future__ import annotations


def backoff_ms(attempts: int, *, first_ms: int, max_ms: int, dice: float) -> int:
    """Doubling from `first_ms` after the first failed attempt, up to `max_ms`; between half and the whole of that.

    Args:
        attempts: failed ones so far, at least 1.
        dice: in [0, 1).
    """
    whole_ms = min(first_ms << min(attempts - 1, 32), max_ms)
    return whole_ms // 2 + int((whole_ms - whole_ms // 2) * dice)
