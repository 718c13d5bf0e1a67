"""How long to wait before a process that died is started again. Pure."""

from __future__ import annotations

HEALTHY_AFTER_S = 10.0
"""Whoever lived so long did not die young."""
_FIRST_RESTART_S = 0.1
_LAST_RESTART_S = 5.0
_MOST_DOUBLINGS = 16  # enough for the longest wait; a float holds no power of two above the 1023rd


def restart_delay_s(quick_deaths: int) -> float:
    """After so many deaths in a row, each of a process that had lived less than HEALTHY_AFTER_S."""
    if quick_deaths <= 1:
        return 0.0
    doublings = min(quick_deaths - 2, _MOST_DOUBLINGS)
    return min(_LAST_RESTART_S, _FIRST_RESTART_S * 2.0**doublings)
