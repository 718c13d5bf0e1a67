"""Makes of one number that a shell has drawn as many fair draws as a rule needs. Pure: the same number, the same draws.

Source of the mixing: SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def unit_draw(draw: int, salt: int) -> float:
    """Give a number in (0, 1): even over draws, and independent for different salts."""
    mixed = (draw * _GOLDEN + (salt + 1) * 0xD1B54A32D192ED03) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    mixed ^= mixed >> 31
    return ((mixed >> 12) + 0.5) / (1 << 52)


def drawn_by_weight(weights: Sequence[int], draw: int, *, salt: int) -> int:
    """Give a position, drawn in proportion to its weight. At least one weight is above zero, none below."""
    left = unit_draw(draw, salt) * sum(weights)
    for position, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return position
    return max(range(len(weights)), key=lambda position: weights[position])


def turn_in_draw(name: str, weight: float, draw: int) -> float:
    """Give where a name stands in a draw: those with the smallest number come first, in proportion to their weights.

    Weighted rendezvous hashing (J. Resch, "New Hashing Algorithms for Data Storage", SNIA SDC 2015): what becomes of
    one name changes nothing between the others, and less weight never brings a name forward.
    """
    return -log(unit_draw(draw, crc32(name.encode()))) / weight
