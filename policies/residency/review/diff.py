"""Which decisions change from one bundle to another: every question of their finite world, asked of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from policies.residency.bundles.instants import FAR_S
from policies.residency.decision import Decision, Question
from policies.residency.review.diff_boxes import united
from policies.residency.review.question_answers import WorldAt
from policies.residency.review.question_space import DIMENSIONS, Who, World, oddity
from policies.residency.vocabulary import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.question_answers import Cell
    from policies.residency.review.question_space import Values

_REGION, _ACTION = "region", "action"
_Place = tuple[Who, Action, str]
Period = tuple[int, int]
"""From this second on, until that one (which is not of it); FAR_S: for good."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Decisions that change in the same way.

    Attributes:
        actions, regions: all of them together with all of `values`.
        values: by dimension, all that are concerned; all there are where it makes no difference.
        count: decisions that these are.
        example: one of the questions, as it is asked of the bundle that comes.
        example_at_s: an instant at which it has these two answers.
    """

    who: Who
    actions: frozenset[Action]
    regions: frozenset[str]
    values: Values
    before: Decision
    after: Decision
    periods: tuple[Period, ...]
    count: int
    example: Question
    example_at_s: int

    @property
    def is_verdict(self) -> bool:
        """Whether the answer is another one, and not only its reason."""
        return self.before.is_allowed != self.after.is_allowed

    @property
    def is_wider(self) -> bool:
        return self.after.is_allowed and not self.before.is_allowed


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two bundles decide differently.

    Attributes:
        changed: other answers; what is newly allowed comes first.
        same_answer: the same answers, decided by other rules.
        decisions: all that there are, in one interval of time.
        asked: questions that were put to Cedar, of both bundles together.
        every: by dimension, all of its values; a change that has all of them does not depend on it.
        intervals: how many there are between instants at which anything may change.
    """

    before: Bundle
    after: Bundle
    changed: tuple[Changed, ...]
    same_answer: tuple[Changed, ...]
    decisions: int
    asked: int
    every: Values
    intervals: tuple[Period, ...]

    @property
    def newly_allowed(self) -> int:
        return sum(each.count for each in self.changed if each.is_wider)

    @property
    def no_longer_allowed(self) -> int:
        return sum(each.count for each in self.changed if not each.is_wider)


class Contradicted(Exception):
    """All rules together say something else than one by one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` places in the world were looked at."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _Sort:
    """What changes that may stand in one line have in common. Errors are told by their number: their words differ."""

    who: Who
    before: tuple[object, ...]
    after: tuple[object, ...]
    periods: tuple[Period, ...]


@dataclass(slots=True)
class _One:
    """One set of values that changes in one cell."""

    cell: Cell
    values: Values
    before: Decision
    after: Decision
    example: Question
    periods: list[Period]

    @property
    def sort(self) -> _Sort:
        return _Sort(self.cell.who, _answer(self.before), _answer(self.after), tuple(self.periods))


def compare(
    before: Bundle, after: Bundle, *, from_s: int, until_s: int = FAR_S, is_exhaustive: bool = False
) -> Iterator[Progress | Comparison]:
    """Ask everything of both, from an instant on; the last that it gives is the comparison.

    That a bundle expires counts as no change of a decision: it is signed again, or everything is refused.

    Args:
        is_exhaustive: put every single question to all rules of both, also where no rule says anything else.

    Raises:
        Contradicted: a fault of ours.
    """
    lasting = tuple(replace(bundle, issued_at_s=0, expires_at_s=FAR_S) for bundle in (before, after))
    world = World(lasting)
    intervals = _intervals(lasting, from_s, until_s)
    asking = _Asking(is_exhaustive=is_exhaustive)
    asked = 0
    total = len(intervals) * len(world.whos) * len(Action)
    done, decisions = 0, 0
    every: dict[str, frozenset[str]] = {}
    at: WorldAt | None = None
    for period in intervals:
        at, earlier = WorldAt(world, period[0]), at
        unchanged = frozenset() if earlier is None or is_exhaustive else at.unchanged_since(earlier)
        values = {name: at.values_of(name) for name in DIMENSIONS}
        every = {name: values[name] | every.get(name, frozenset()) for name in DIMENSIONS}
        for who in world.whos:
            for action in Action:
                for region in world.regions:
                    if region in unchanged:
                        asking.goes_on((who, action, region), period)
                    else:
                        asking.look(at, (who, action, region), period)
                done += 1
                yield Progress(done, total)
        in_all = sum(world.size(values, action) for action in Action) * len(world.whos) * len(world.regions)
        decisions, asked = max(decisions, in_all), asked + at.asked
    changed = _in_lines(asking.found, world)
    yield Comparison(
        before=before,
        after=after,
        changed=tuple(each for each in changed if each.is_verdict),
        same_answer=tuple(each for each in changed if not each.is_verdict),
        decisions=decisions,
        asked=asked,
        every=every,
        intervals=tuple(intervals),
    )


class _Asking:
    """Asks about each cell once: one that is told the same at another instant is answered the same."""

    def __init__(self, *, is_exhaustive: bool) -> None:
        self._is_exhaustive = is_exhaustive
        self._by_cell: dict[tuple[object, ...], list[_One]] = {}
        self._latest: dict[_Place, list[_One]] = {}

    @property
    def found(self) -> list[_One]:
        return [one for of_cell in self._by_cell.values() for one in of_cell]

    def goes_on(self, place: _Place, period: Period) -> None:
        """What was found there last holds for longer."""
        for one in self._latest.get(place, ()):
            one.periods.append(period)

    def look(self, at: WorldAt, place: _Place, period: Period) -> None:
        self._latest.pop(place, None)
        if self._is_exhaustive:
            self._by_cell[*place, period] = [*self._differing(at, at.cell(*place), period)]
            return
        if at.is_equal(*place):
            return
        cell = at.cell(*place)
        told = (*place, cell.told, frozenset(at.subjects))
        if told in self._by_cell:
            for one in self._by_cell[told]:
                one.periods.append(period)
        else:
            self._by_cell[told] = [*self._differing(at, cell, period)]
            for one in self._by_cell[told][:1]:
                _check(at, one)
        self._latest[place] = self._by_cell[told]

    def _differing(self, at: WorldAt, cell: Cell, period: Period) -> Iterator[_One]:
        answer = at.asked_in_full if self._is_exhaustive else at.answer
        for values in at.situations(cell):
            old, new = answer(cell, values, 0), answer(cell, values, 1)
            if _answer(old) != _answer(new):
                yield _One(cell, values, old, new, at.question(cell, values, 1), [period])


def _check(at: WorldAt, one: _One) -> None:
    """Ask for one of a cell's changes as a gateway would.

    Raises:
        Contradicted: it is answered otherwise.
    """
    for index, found in enumerate((one.before, one.after)):
        full = at.asked_in_full(one.cell, one.values, index)
        if _answer(full) != _answer(found):
            raise Contradicted(f"{one.example}: {full} and not {found}")


def _intervals(bundles: tuple[Bundle, ...], from_s: int, until_s: int) -> list[Period]:
    instants = {at_s for bundle in bundles for at_s in bundle.instants() if from_s < at_s < until_s}
    edges = [from_s, *sorted(instants), until_s]
    return list(pairwise(edges))


def _joined(periods: list[Period]) -> list[Period]:
    """In order; what follows without a gap is one."""
    found: list[Period] = []
    for begins_s, ends_s in sorted(periods):
        if found and found[-1][1] == begins_s:
            found[-1] = (found[-1][0], ends_s)
        else:
            found.append((begins_s, ends_s))
    return found


def _answer(decision: Decision) -> tuple[object, ...]:
    return decision.is_allowed, decision.rules, bool(decision.errors)


def _in_lines(found: list[_One], world: World) -> list[Changed]:
    """Unite what changes alike. A cell whose facts differ over time, with the same change all along, is one first."""
    by_place: dict[tuple[object, ...], _One] = {}
    for one in found:
        answers = (_answer(one.before), _answer(one.after))
        key = (one.cell.who, one.cell.action, one.cell.region, tuple(one.values.items()), answers)
        first = by_place.setdefault(key, replace(one, periods=[]))
        first.periods.extend(one.periods)
    by_sort: dict[_Sort, list[_One]] = {}
    for one in by_place.values():
        one.periods = _joined(one.periods)
        by_sort.setdefault(one.sort, []).append(one)
    lines = [line for alike in by_sort.values() for line in _lines(alike, world)]
    return sorted(lines, key=lambda line: (not line.is_wider, line.who.profile, line.who.name, sorted(line.actions)))


def _lines(alike: list[_One], world: World) -> Iterator[Changed]:
    boxes = [
        {**one.values, _REGION: frozenset({one.cell.region}), _ACTION: frozenset({one.cell.action.value})}
        for one in alike
    ]
    for box in united(boxes, (*reversed(DIMENSIONS), _REGION, _ACTION)):
        inside = min((one for one in alike if _is_inside(one, box)), key=lambda one: oddity(one.values))
        actions = frozenset(Action(name) for name in box[_ACTION])
        values = {name: box[name] for name in DIMENSIONS}
        yield Changed(
            who=inside.cell.who,
            actions=actions,
            regions=box[_REGION],
            values=values,
            before=inside.before,
            after=inside.after,
            periods=tuple(inside.periods),
            count=sum(world.size(values, action) for action in actions) * len(box[_REGION]),
            example=inside.example,
            example_at_s=inside.periods[0][0],
        )


def _is_inside(one: _One, box: Values) -> bool:
    if one.cell.region not in box[_REGION] or one.cell.action not in box[_ACTION]:
        return False
    return all(one.values[name] <= box[name] for name in DIMENSIONS)
