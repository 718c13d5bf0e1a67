"""Changes as they are signed: those of one profile, with the same answers and rules before and after, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.residency.review.question_space import DIMENSIONS, oddity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.residency.decision import Decision, Question
    from policies.residency.review.diff import Changed, Period
    from policies.residency.review.question_space import Values


@dataclass(frozen=True, slots=True)
class Group:
    """What one signature is for.

    Attributes:
        callers: the profile itself, and projects that are named apart because their rows narrow them.
        values: by dimension, values that occur; not every combination of them need change, `lines` say exactly which.
        example: the plainest of the changed questions.
    """

    profile: str
    callers: tuple[str, ...]
    actions: tuple[str, ...]
    regions: tuple[str, ...]
    values: Values
    before: Decision
    after: Decision
    is_wider: bool
    periods: tuple[Period, ...]
    count: int
    example: Question
    example_at_s: int
    lines: tuple[Changed, ...]


def grouped(lines: Iterable[Changed]) -> tuple[Group, ...]:
    """In the order of the lines."""
    found: dict[tuple[object, ...], list[Changed]] = {}
    for line in lines:
        sides = tuple((side.is_allowed, side.rules, bool(side.errors)) for side in (line.before, line.after))
        found.setdefault((line.who.profile, line.actions, sides), []).append(line)
    return tuple(_group(alike) for alike in found.values())


def _group(lines: list[Changed]) -> Group:
    plainest = min(lines, key=lambda line: (oddity(line.values), not line.who.has_others))
    return Group(
        profile=lines[0].who.profile,
        callers=tuple(dict.fromkeys(line.who.name for line in lines)),
        actions=tuple(sorted(lines[0].actions)),
        regions=tuple(sorted(frozenset().union(*(line.regions for line in lines)))),
        values={name: frozenset().union(*(line.values[name] for line in lines)) for name in DIMENSIONS},
        before=plainest.before,
        after=plainest.after,
        is_wider=plainest.is_wider,
        periods=tuple(sorted({period for line in lines for period in line.periods})),
        count=sum(line.count for line in lines),
        example=plainest.example,
        example_at_s=plainest.example_at_s,
        lines=tuple(lines),
    )
