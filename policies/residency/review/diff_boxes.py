"""Sets of values that go together, united into as few as describe the same: lines that one can sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def united(boxes: Iterable[Mapping[str, frozenset[str]]], dimensions: Sequence[str]) -> list[dict[str, frozenset[str]]]:
    """Unite boxes that differ in one dimension only, one dimension after another.

    A box has a set for each dimension and stands for every combination of its values. What they cover together is the
    same before and after, and where no two overlapped before, none do after.
    """
    found = [dict(box) for box in boxes]
    for dimension in dimensions:
        by_rest: dict[tuple[frozenset[str], ...], dict[str, frozenset[str]]] = {}
        for box in found:
            rest = tuple(box[name] for name in dimensions if name != dimension)
            alike = by_rest.setdefault(rest, box)
            alike[dimension] |= box[dimension]
        found = [*by_rest.values()]
    return found
