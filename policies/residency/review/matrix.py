"""Who may do what where: one answer for each kind of caller and each region, at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.residency.review.diff_boxes import united
from policies.residency.review.question_answers import WorldAt
from policies.residency.review.question_space import DIMENSIONS, OF_ENGINES, SUBJECT, UNKNOWN, World
from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.question_answers import Cell
    from policies.residency.review.question_space import Values, Who

_USED = ("machine", SUBJECT)


class Mark(StrEnum):
    """What a cell of the matrix says; the value is its symbol."""

    yes = "●"
    reserved = "R"
    """On reserved machines only."""
    spot = "S"
    """On spot machines only."""
    depends = "◐"
    """Not for every speaker."""
    no = "✗"
    """A rule forbids it."""
    unpermitted = "·"
    """No rule permits it."""
    unknown = "-"
    """The bundle does not know the region at that instant."""


MEANINGS: Mapping[Mark, str] = {
    Mark.yes: "allowed",
    Mark.reserved: "on reserved machines only",
    Mark.spot: "on spot machines only",
    Mark.depends: "depends on the speaker",
    Mark.no: "a rule forbids it",
    Mark.unpermitted: "no rule permits it",
    Mark.unknown: "the region is not in force at that instant",
}


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One answer.

    Attributes:
        rules: that decide it, for any of the values.
        allowed: sets of values for which it is allowed, where it is not for all.
    """

    mark: Mark
    rules: tuple[str, ...]
    allowed: tuple[Values, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """Of one action and one data class. `cells`: by (who, region)."""

    action: Action
    data_class: DataClass
    at_s: int
    whos: tuple[Who, ...]
    regions: tuple[str, ...]
    cells: Mapping[tuple[Who, str], MatrixCell]
    every: Values


@dataclass(frozen=True, slots=True)
class MatrixAsked:
    """What a matrix is asked about. None: all that there are, or for consent, as the profile asks for it.

    Attributes:
        subject: countries of the speaker; empty: nobody knows. None: anybody of whom it is known.
        project: only callers of this project.
    """

    data_class: DataClass = DataClass.personal
    capacity: CapacityClass | None = None
    subject: frozenset[str] | None = None
    has_consent: bool | None = None
    legal_basis: LegalBasis = LegalBasis.unstated
    has_break_glass: bool = False
    project: str = ""


def matrices(bundle: Bundle, *, at_s: int, actions: Iterable[Action], asked: Iterable[MatrixAsked]) -> Iterator[Matrix]:
    """One for each action and each that is asked, in this order."""
    at = WorldAt(World([bundle]), at_s)
    asked = [*asked]
    for action in actions:
        for each in asked:
            yield _matrix(bundle, at, action, each)


def _matrix(bundle: Bundle, at: WorldAt, action: Action, asked: MatrixAsked) -> Matrix:
    asked_of = (who for who in at.world.whos if not asked.project or asked.project in who.projects)
    whos = tuple(sorted(asked_of, key=lambda who: (who.profile, not who.has_others, who.name)))
    regions = at.world.regions
    cells = {}
    for who in whos:
        fixed = _fixed(bundle, at, who, action, asked)
        for region in regions:
            cells[who, region] = _cell(at, at.cell(who, action, region, fixed=fixed), fixed)
    return Matrix(
        action=action,
        data_class=asked.data_class,
        at_s=at.at_s,
        whos=whos,
        regions=regions,
        cells=cells,
        every={name: at.values_of(name) - {UNKNOWN} for name in DIMENSIONS},
    )


def _fixed(bundle: Bundle, at: WorldAt, who: Who, action: Action, asked: MatrixAsked) -> dict[str, frozenset[str]]:
    profile = bundle.profiles[who.asked_as[0][0]]
    consents = profile.requires_consent if asked.has_consent is None else asked.has_consent
    if asked.subject is None:
        speakers = frozenset(at.subjects) - {UNKNOWN}
    else:
        speakers = frozenset({at.subject_of(asked.subject)})
    machines = frozenset(CapacityClass) if asked.capacity is None else frozenset({asked.capacity})
    return {
        "data class": frozenset({asked.data_class}),
        SUBJECT: speakers,
        "machine": machines if action in OF_ENGINES else frozenset({CapacityClass.reserved}),
        "consent": frozenset({"yes" if consents else "no"}),
        "legal basis": frozenset({asked.legal_basis}),
        "trigger": frozenset({Trigger.failover if action is Action.failover else Trigger.initial}),
        "draining": frozenset({"no"}),
        "break glass": frozenset({"yes" if asked.has_break_glass else "no"}),
    }


def _cell(at: WorldAt, cell: Cell, fixed: Mapping[str, frozenset[str]]) -> MatrixCell:
    if cell.tables[0] is None:
        return MatrixCell(Mark.unknown, ())
    answers = [(values, at.answer(cell, values, 0)) for values in at.situations(cell)]
    allowed = [values for values, answer in answers if answer.is_allowed]
    rules = tuple(sorted({rule for _, answer in answers for rule in answer.rules}))
    if len(allowed) == len(answers):
        return MatrixCell(Mark.yes, rules)
    if not allowed:
        return MatrixCell(Mark.no if rules else Mark.unpermitted, rules)
    boxes = tuple(united(({name: values[name] for name in _USED} for values in allowed), _USED))
    if len(boxes) == 1 and boxes[0][SUBJECT] == fixed[SUBJECT]:
        (machine,) = boxes[0]["machine"]
        return MatrixCell(Mark.reserved if machine == CapacityClass.reserved else Mark.spot, rules, boxes)
    return MatrixCell(Mark.depends, rules, boxes)
