"""The root knows every rate by its own book of plans."""

from __future__ import annotations

import pytest

from gateway.escrow.rates import rate_in
from policies.plan_book import OrgTerms, PlanBook
from policies.plan_terms import LimitTerms, Terms
from policies.plans import Level, Principal, Rate

pytestmark = pytest.mark.unit

WHO = Principal("acme", "web", "0123456789abcdef")


def terms(place: str, governs: Level, per_s: int) -> Terms:
    limits = LimitTerms(compute_per_s=per_s, compute_burst=10 * per_s)
    return Terms((place,), governs, org=limits, project=limits, key=limits)


BOOK = PlanBook(
    plans={"small": terms("small", Level.org, 5), "large": terms("large", Level.org, 50)},
    rating_version="0" * 12,
    orgs={
        "acme": OrgTerms(Terms(("acme",), Level.org), projects={"web": terms("web", Level.project, 3)}),
        "bound": OrgTerms(Terms(("bound",), Level.org), plan="large"),
    },
)


def test_the_narrowest_place_says_the_rate() -> None:
    assert rate_in(BOOK, WHO, "small", Level.project) == Rate(3, 30)
    assert rate_in(BOOK, WHO, "small", Level.org) == Rate(5, 50)


def test_an_org_that_is_bound_to_a_plan_cannot_be_lent_by_another_one() -> None:
    assert rate_in(BOOK, Principal("bound", "", ""), "small", Level.org) == Rate(50, 500)


def test_an_unknown_plan_has_no_rate() -> None:
    assert rate_in(BOOK, WHO, "none", Level.org) is None
