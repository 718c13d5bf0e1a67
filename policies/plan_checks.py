"""What is wrong in a book of plans as a whole, and what is right but says less than it seems to. Pure.

Single values are checked where the file is read (gateway.limits.plans_document). Here every plan is combined with every
place that may change it, as calls will combine them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from policies.plan_book import OrgTerms, PlanBook, SaidPlan, combine
from policies.plan_terms import FILE_NAMES, Place, Said, SaidLimits, Terms, Unlimited, amount_of, dotted
from policies.plans import Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PAIRS = (("compute_per_s", "compute_burst"), ("starts_per_s", "starts_burst"))
_COMPARED = ("compute_per_s", "compute_burst", "max_sessions", "starts_per_s", "starts_burst")


@dataclass(frozen=True, slots=True)
class Finding:
    """`place`: of the value, or of the table that lacks one. A warning does not keep a book from being used."""

    place: Place
    text: str
    is_warning: bool = False


def findings(book: PlanBook, *, least_compute_burst: int) -> list[Finding]:
    """Each once, in the order of the book. `least_compute_burst`: what a session's first reservation may need."""
    found = [*_unknown_names(book)]
    for said, chain, is_claimed in _combinations(book):
        suffix = f" with the plan {said.name.value}" if is_claimed else ""
        for level in Level:
            found += _contradictions(said.of(level), chain, suffix)
            found += _small_bursts(said.of(level), least_compute_burst)
        found += _larger_than_wider(said, chain)
    return list(dict.fromkeys(found))


def _unknown_names(book: PlanBook) -> Iterator[Finding]:
    if not book.plans:
        yield Finding(("plans",), "there must be at least one plan")
    for field, name in (("default_plan", book.default_plan), ("fallback_plan", book.fallback_plan)):
        if name is not None and name not in book.plans:
            yield Finding((field,), f"there is no plan {name}")
    for org in book.orgs.values():
        if org.plan is not None and org.plan not in book.plans:
            yield Finding((*org.terms.place, "plan"), f"there is no plan {org.plan}")


def _combinations(book: PlanBook) -> Iterator[tuple[SaidPlan, Sequence[Terms], bool]]:
    """Every plan alone, then with every place that changes limits. The flag: tokens choose the plan, not the file."""
    for name, plan in book.plans.items():
        yield combine(Said(name, plan.place), (plan,)), (plan,), False
    for org in book.orgs.values():
        names = list(book.plans) if org.plan is None else [org.plan]
        for name in names:
            if name in book.plans:
                for changes in _changes(org):
                    chain = (*changes, org.terms, book.plans[name])
                    yield combine(Said(name, book.plans[name].place), chain), chain, org.plan is None


def _changes(org: OrgTerms) -> Iterator[tuple[Terms, ...]]:
    """What may stand before the org's own terms. A key meets a project only where both change limits of keys, and the
    key's own are not whole by themselves.
    """
    if org.terms.says_limits:
        yield ()
    projects = [project for project in org.projects.values() if project.says_limits]
    yield from ((project,) for project in projects)
    for key in org.keys.values():
        if key.says_limits:
            yield (key,)
            if _is_half(key):
                yield from ((key, project) for project in projects if project.key != Terms((), Level.key).key)


def _is_half(terms: Terms) -> bool:
    limits = terms.key
    return (limits.compute_per_s is None) != (limits.compute_burst is None) or (limits.starts_per_s is None) != (
        limits.starts_burst is None
    )


def _contradictions(said: SaidLimits, chain: Sequence[Terms], suffix: str) -> Iterator[Finding]:
    for per_s_field, burst_field in _PAIRS:
        per_s, burst = getattr(said, per_s_field), getattr(said, burst_field)
        per_s_name, burst_name = FILE_NAMES[per_s_field], FILE_NAMES[burst_field]
        if per_s is not None and not isinstance(per_s.value, Unlimited):
            if burst is None:
                yield Finding((*per_s.place, per_s_name), f"needs {burst_name} beside it{suffix}")
        elif burst is not None and (per_s is None or _width(burst, chain) <= _width(per_s, chain)):
            yield Finding((*burst.place, burst_name), f"says nothing without {per_s_name}{suffix}")
    shadow = said.is_shadow
    is_of_this_level = shadow is not None and shadow.value and all(shadow.place != terms.place for terms in chain)
    if shadow is not None and is_of_this_level and all(getattr(said, field) is None for field in _COMPARED):
        yield Finding((*shadow.place, FILE_NAMES["is_shadow"]), f"nothing is limited here{suffix}", is_warning=True)


def _small_bursts(said: SaidLimits, least_compute_burst: int) -> Iterator[Finding]:
    if said.compute_per_s is None or isinstance(said.compute_per_s.value, Unlimited) or said.compute_burst is None:
        return
    if said.compute_burst.value < least_compute_burst:
        yield Finding(
            (*said.compute_burst.place, FILE_NAMES["compute_burst"]),
            f"must be at least {amount_of(least_compute_burst)}, which one reservation may need",
        )


def _larger_than_wider(said: SaidPlan, chain: Sequence[Terms]) -> Iterator[Finding]:
    """Limits of which a wider level allows less, unless that was made less by a narrower place on purpose."""
    for narrow_level, wide_level in (*pairwise(Level), (Level.key, Level.org)):
        for field in _COMPARED:
            narrow: Said[int | Unlimited] | None = getattr(said.of(narrow_level), field)
            wide: Said[int | Unlimited] | None = getattr(said.of(wide_level), field)
            if (
                narrow is None
                or wide is None
                or isinstance(narrow.value, Unlimited)
                or isinstance(wide.value, Unlimited)
            ):
                continue
            if narrow.value > wide.value and _width(narrow, chain) <= _width(wide, chain):
                wider = dotted((*wide.place, FILE_NAMES[field]))
                yield Finding((*narrow.place, FILE_NAMES[field]), f"is more than {wider} allows", is_warning=True)


def _width(said: Said[int] | Said[int | Unlimited], chain: Sequence[Terms]) -> int:
    """How far out in the chain the place is."""
    return next(width for width, terms in enumerate(chain) if said.place[:-1] == terms.place)
