"""The rate of one level by a book of plans, for callers of whom only names are known. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.plan_terms import said_limits

if TYPE_CHECKING:
    from policies.plan_book import PlanBook
    from policies.plans import Level, Principal, Rate


def rate_in(book: PlanBook, who: Principal, plan: str, level: Level) -> Rate | None:
    """None: the plan is not known, or does not limit that level. An org's own binding counts more than `plan`."""
    org = book.orgs.get(who.org)
    name = plan if org is None or org.plan is None else org.plan
    terms = book.plans.get(name)
    if terms is None:
        return None
    places = () if org is None else (org.keys.get(who.key), org.projects.get(who.project), org.terms)
    chain = [place for place in (*places, terms) if place is not None]
    return said_limits(chain, level).limits().compute
