"""A plan as rows: each value as its file writes it, and the place that says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.plan_book import OrgTerms, PlanBook, SaidPlan, combine
from policies.plan_terms import FILE_NAMES, UNLIMITED, LimitTerms, Place, Said, Terms, amount_of, dotted
from policies.plans import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALARS = ("tier", "rater", "max_session_ms", "when_exhausted", "when_limiter_away", "when_log_unwritable")
_AMOUNTS = ("compute_per_s", "compute_burst", "starts_per_s", "starts_burst")
_WIDEST_FIRST = tuple(reversed(Level))
FIELDS = (*_SCALARS, *(f"{level.value}.{name}" for level in _WIDEST_FIRST for name in FILE_NAMES.values()))
"""All that a plan grants, in the order in which it is shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """`field`: as in the file, after its level. `place`: the table that says it, `default`, or empty for nobody."""

    field: str
    value: str | int | bool
    place: str


def rows_of(said: SaidPlan) -> list[Row]:
    """Every value that holds for a caller; a limit that nobody says is unlimited."""
    rows = [Row("plan", said.name.value, dotted(said.name.place))]
    rows += [_row(name, name, getattr(said, name)) for name in _SCALARS]
    for level in _WIDEST_FIRST:
        limits = said.of(level)
        for field, name in FILE_NAMES.items():
            found: Said[object] | None = getattr(limits, field)
            if found is not None:
                rows.append(_row(f"{level.value}.{name}", field, found))
            elif not field.endswith("_burst"):
                rows.append(Row(f"{level.value}.{name}", False if field == "is_shadow" else UNLIMITED.value, ""))
    return rows


def plan_rows(book: PlanBook) -> dict[str, list[Row]]:
    """What each plan grants where no org, project or key changes it."""
    return {name: rows_of(combine(Said(name, terms.place), (terms,))) for name, terms in book.plans.items()}


def override_rows(book: PlanBook) -> list[Row]:
    """What orgs, projects and keys change, in the order of the book."""
    return [row for org in book.orgs.values() for row in _org_rows(org)]


def _org_rows(org: OrgTerms) -> Iterator[Row]:
    if org.plan is not None:
        yield Row("plan", org.plan, dotted(org.terms.place))
    for terms in (org.terms, *org.projects.values(), *org.keys.values()):
        yield from _said_rows(terms)


def _said_rows(terms: Terms) -> Iterator[Row]:
    for name in _SCALARS:
        if (value := getattr(terms, name)) is not None:
            yield _row(name, name, Said(value, terms.place))
    if terms.is_shadow is not None:
        yield Row(FILE_NAMES["is_shadow"], terms.is_shadow, dotted(terms.place))
    for level in _WIDEST_FIRST:
        yield from _limit_rows(terms.of(level), level, terms.place)


def _limit_rows(limits: LimitTerms, level: Level, place: Place) -> Iterator[Row]:
    for field, name in FILE_NAMES.items():
        if (value := getattr(limits, field)) is not None:
            yield _row(f"{level.value}.{name}", field, Said(value, (*place, level.value)))


def _row(name: str, field: str, said: Said[object]) -> Row:
    value = said.value
    if isinstance(value, str):
        return Row(name, str(value), dotted(said.place))
    if not isinstance(value, int):
        raise TypeError(f"{name} is {type(value).__name__}")
    return Row(name, amount_of(value) if field in _AMOUNTS else value, dotted(said.place))
