"""What is wrong in a book of plans as a whole, and what is right but says less than it seems to. Pure.

Single values are checked where the file is read (gateway.limits.plans_document). Here every plan is combined with every
place that may change it, as calls will combine them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from policies.plan_terms import (
    FILE_NAMES,
    LimitTerms,
    Place,
    Said,
    SaidLimits,
    Terms,
    Unlimited,
    amount_of,
    dotted,
    said_limits,
)
from policies.plans import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from policies.plan_book import OrgTerms, PlanBook

_PAIRS = (("compute_per_s", "compute_burst"), ("starts_per_s", "starts_burst"))
_NOTHING = LimitTerms()
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
    for combination in _combinations(book):
        for level in combination.changed:
            limits = combination.said[level]
            found += _contradictions(limits, combination.chain, combination.suffix)
            found += _small_bursts(limits, least_compute_burst)
        found += _larger_than_wider(combination)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Combination:
    """A chain of places, narrowest first, and what it says of each level; `changed`: those that its first place
    changes. What it says of the others was looked at without that place. `suffix`: names a plan that tokens choose.
    """

    chain: Sequence[Terms]
    said: Mapping[Level, SaidLimits]
    changed: Sequence[Level]
    suffix: str = ""


def _unknown_names(book: PlanBook) -> Iterator[Finding]:
    if not book.plans:
        yield Finding(("plans",), "there must be at least one plan")
    for field, name in (("default_plan", book.default_plan), ("fallback_plan", book.fallback_plan)):
        if name is not None and name not in book.plans:
            yield Finding((field,), f"there is no plan {name}")
    for org in book.orgs.values():
        if org.plan is not None and org.plan not in book.plans:
            yield Finding((*org.terms.place, "plan"), f"there is no plan {org.plan}")


def _combinations(book: PlanBook) -> Iterator[_Combination]:
    """Every plan alone, then with every place that changes limits."""
    for plan in book.plans.values():
        yield _Combination((plan,), _said((plan,), Level), _changed(plan))
    for org in book.orgs.values():
        for name in book.plans if org.plan is None else [org.plan]:
            if name in book.plans:
                yield from _of_org(org, book.plans[name], f" with the plan {name}" if org.plan is None else "")


def _of_org(org: OrgTerms, plan: Terms, suffix: str) -> Iterator[_Combination]:
    """A key meets a project only where both change limits of keys, and the key's own are not whole by themselves."""
    chain = (org.terms, plan)
    said = _said(chain, Level)
    yield _Combination(chain, said, _changed(org.terms), suffix)
    for terms in (*org.projects.values(), *org.keys.values()):
        if changed := _changed(terms):
            longer = (terms, *chain)
            yield _Combination(longer, {**said, **_said(longer, changed)}, changed, suffix)
    for key in org.keys.values():
        if _is_half(key):
            for project in org.projects.values():
                if Level.key in _changed(project):
                    both = (key, project, *chain)
                    yield _Combination(both, {**said, **_said(both, [Level.key])}, [Level.key], suffix)


def _changed(terms: Terms) -> list[Level]:
    return [level for level in Level if terms.of(level) != _NOTHING]


def _said(chain: Sequence[Terms], levels: Iterable[Level]) -> dict[Level, SaidLimits]:
    return {level: said_limits(chain, level) for level in levels}


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


def _larger_than_wider(combination: _Combination) -> Iterator[Finding]:
    """Limits of which a wider level allows less, unless that was made less by a narrower place on purpose."""
    chain, said = combination.chain, combination.said
    for narrow_level, wide_level in (*pairwise(Level), (Level.key, Level.org)):
        if not {narrow_level, wide_level} & set(combination.changed):
            continue
        for field in _COMPARED:
            narrow: Said[int | Unlimited] | None = getattr(said[narrow_level], field)
            wide: Said[int | Unlimited] | None = getattr(said[wide_level], field)
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
