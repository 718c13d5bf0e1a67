"""What is wrong in a book as a whole is found with its place, once, and what is only odd is a warning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.facts import Caller
from policies.plan_book import OrgTerms, PlanBook, SaidPlan, key_pseudonym
from policies.plan_checks import Finding, findings
from policies.plan_terms import UNLIMITED, LimitTerms, Terms
from policies.plans import MICRO, Level

pytestmark = pytest.mark.unit

LEAST_BURST = 500_000
WHOLE = LimitTerms(compute_per_s=10 * MICRO, compute_burst=100 * MICRO, max_sessions=10)
GOLD, ACME = ("plans", "gold"), ("orgs", "acme")


def book_of(plan: Terms, org: OrgTerms | None = None, **others: object) -> PlanBook:
    return PlanBook(
        plans={plan.place[-1]: plan},
        rating_version="0" * 12,
        orgs={} if org is None else {"acme": org},
        **others,  # type: ignore[arg-type]
    )


def gold(**said: object) -> Terms:
    return Terms(GOLD, Level.org, **said)  # type: ignore[arg-type]


def acme(**said: object) -> Terms:
    return Terms(ACME, Level.org, **said)  # type: ignore[arg-type]


def project(**said: object) -> dict[str, Terms]:
    return {"p": Terms((*ACME, "projects", "p"), Level.project, **said)}  # type: ignore[arg-type]


def key(**said: object) -> dict[str, Terms]:
    return {"0123": Terms((*ACME, "keys", "ci"), Level.key, **said)}  # type: ignore[arg-type]


def found_in(book: PlanBook) -> list[Finding]:
    return findings(book, least_compute_burst=LEAST_BURST)


def test_a_book_that_agrees_with_itself_has_no_findings() -> None:
    book = book_of(
        gold(org=WHOLE, key=replace(WHOLE, max_sessions=5)),
        OrgTerms(acme(org=LimitTerms(compute_burst=200 * MICRO)), plan="gold"),
        default_plan="gold",
    )
    assert found_in(book) == []


def test_plans_that_are_not_there_are_found_wherever_they_are_named() -> None:
    book = book_of(gold(), OrgTerms(acme(), plan="lost"), default_plan="none", fallback_plan="nil")
    assert found_in(book) == [
        Finding(("default_plan",), "there is no plan none"),
        Finding(("fallback_plan",), "there is no plan nil"),
        Finding((*ACME, "plan"), "there is no plan lost"),
    ]


def test_a_book_needs_a_plan() -> None:
    assert found_in(PlanBook(plans={}, rating_version="")) == [Finding(("plans",), "there must be at least one plan")]


@pytest.mark.parametrize(
    ("limits", "field", "text"),
    [
        (LimitTerms(compute_per_s=1), "compute_seconds_per_second", "needs compute_seconds_burst beside it"),
        (LimitTerms(starts_per_s=1), "session_starts_per_second", "needs session_starts_burst beside it"),
        (LimitTerms(starts_burst=1), "session_starts_burst", "says nothing without session_starts_per_second"),
        (
            LimitTerms(compute_per_s=UNLIMITED, compute_burst=MICRO),
            "compute_seconds_burst",
            "says nothing without compute_seconds_per_second",
        ),
        (
            LimitTerms(compute_per_s=1, compute_burst=LEAST_BURST - 1),
            "compute_seconds_burst",
            "must be at least 0.5, which one reservation may need",
        ),
    ],
)
def test_half_a_rate_and_a_burst_that_no_reservation_fits_in_are_mistakes(
    limits: LimitTerms, field: str, text: str
) -> None:
    assert found_in(book_of(gold(project=limits))) == [Finding((*GOLD, "project", field), text)]


def test_an_override_of_half_a_rate_is_good_where_the_plan_has_the_other_half() -> None:
    assert found_in(book_of(gold(key=WHOLE), OrgTerms(acme(), keys=key(key=LimitTerms(compute_burst=MICRO))))) == []


def test_an_override_of_half_a_rate_is_a_mistake_with_the_plan_that_has_none() -> None:
    org = OrgTerms(acme(org=LimitTerms(compute_per_s=1)))
    book = replace(
        book_of(gold(org=WHOLE), org), plans={"gold": gold(org=WHOLE), "free": Terms(("plans", "free"), Level.org)}
    )
    assert found_in(book) == [
        Finding(
            (*ACME, "org", "compute_seconds_per_second"), "needs compute_seconds_burst beside it with the plan free"
        )
    ]
    assert found_in(replace(book, orgs={"acme": replace(org, plan="gold")})) == []


def test_a_keys_half_a_rate_is_held_against_every_project_that_changes_limits_of_keys() -> None:
    org = OrgTerms(
        acme(),
        plan="gold",
        projects=project(key=LimitTerms(compute_per_s=UNLIMITED)),
        keys=key(key=LimitTerms(compute_burst=MICRO)),
    )
    assert found_in(book_of(gold(key=WHOLE), org)) == [
        Finding(
            (*ACME, "keys", "ci", "key", "compute_seconds_burst"), "says nothing without compute_seconds_per_second"
        )
    ]


def test_a_burst_of_a_plan_may_stay_where_an_org_lifts_the_rate() -> None:
    assert (
        found_in(book_of(gold(org=WHOLE), OrgTerms(acme(org=LimitTerms(compute_per_s=UNLIMITED)), plan="gold"))) == []
    )


def test_more_than_a_wider_level_allows_is_a_warning() -> None:
    book = book_of(gold(org=WHOLE), OrgTerms(acme(), plan="gold", keys=key(key=replace(WHOLE, max_sessions=11))))
    assert found_in(book) == [
        Finding((*ACME, "keys", "ci", "key", "max_sessions"), "is more than plans.gold.org.max_sessions allows", True)
    ]


def test_an_org_that_is_allowed_less_than_the_plan_gives_a_key_is_no_warning() -> None:
    org = OrgTerms(acme(org=LimitTerms(max_sessions=2)), plan="gold")
    assert found_in(book_of(gold(org=WHOLE, key=WHOLE), org)) == []


def test_shadow_where_nothing_is_limited_is_a_warning() -> None:
    assert found_in(book_of(gold(key=LimitTerms(is_shadow=True), is_shadow=True))) == [
        Finding((*GOLD, "key", "shadow"), "nothing is limited here", True)
    ]


amounts = st.sampled_from([None, MICRO, 2 * MICRO])
rates = st.sampled_from([None, None, UNLIMITED, MICRO])
limits = st.builds(
    LimitTerms, compute_per_s=rates, compute_burst=amounts, starts_per_s=rates, starts_burst=amounts
) | st.just(LimitTerms())


@given(
    plans=st.lists(limits, min_size=1, max_size=2),
    org_key=limits,
    project_key=limits,
    own_key=limits,
    is_bound=st.booleans(),
)
def test_in_a_book_without_mistakes_every_rate_of_every_caller_has_a_burst(
    plans: list[LimitTerms], org_key: LimitTerms, project_key: LimitTerms, own_key: LimitTerms, is_bound: bool
) -> None:
    """And in one with mistakes of this kind some caller's has none, or a burst says nothing."""
    book = PlanBook(
        plans={str(number): Terms(("plans", str(number)), Level.org, key=key) for number, key in enumerate(plans)},
        rating_version="",
        orgs={
            "acme": OrgTerms(
                acme(key=org_key),
                plan="0" if is_bound else None,
                projects=project(key=project_key),
                keys={key_pseudonym("ci"): Terms((*ACME, "keys", "ci"), Level.key, key=own_key)},
            )
        },
    )
    mistakes = [finding for finding in found_in(book) if not finding.is_warning]
    callers = [
        Caller(tenant, in_project, subject, str(number), frozenset(), "", 0)
        for tenant in ("acme", "other")
        for in_project in ("p", "other")
        for subject in ("ci", "other")
        for number in range(len(plans))
    ]
    said = [book.explain(caller) for caller in callers]
    keys = [plan.key for plan in said if isinstance(plan, SaidPlan)]
    assert len(keys) == len(callers)
    lacking = [
        key
        for key in keys
        for per_s, burst in ((key.compute_per_s, key.compute_burst), (key.starts_per_s, key.starts_burst))
        if per_s is not None and per_s.value is not UNLIMITED and burst is None
    ]
    assert bool(lacking) == any(finding.text.startswith("needs ") for finding in mistakes)
