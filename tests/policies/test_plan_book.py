"""Which plan holds for a caller, with what overrides, and where each value is said."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.facts import Caller
from policies.plan_book import (
    DEFAULT_MAX_SESSION_MS,
    NOT_SAID,
    TOKEN_CLAIM,
    OrgTerms,
    PlanBook,
    SaidPlan,
    UnknownPlan,
    key_pseudonym,
)
from policies.plan_terms import LimitTerms, Said, Terms
from policies.plans import (
    CallerPlan,
    Level,
    LevelLimits,
    Principal,
    Rate,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
)

pytestmark = pytest.mark.unit

GOLD, FREE, ACME = ("plans", "gold"), ("plans", "free"), ("orgs", "acme")
CALLER = Caller("acme", "dictation", "ci bot", "gold", frozenset(), "", 0)
STRANGER = Caller("other", "", "", "", frozenset(), "", 0)

BOOK = PlanBook(
    plans={
        "gold": Terms(
            GOLD,
            Level.org,
            org=LimitTerms(compute_per_s=10, compute_burst=100, max_sessions=50, starts_per_s=2, starts_burst=20),
            project=LimitTerms(max_sessions=20),
            key=LimitTerms(max_sessions=5),
            rater=Rater.connection_second,
            tier=Tier.premium,
        ),
        "free": Terms(FREE, Level.org, org=LimitTerms(max_sessions=1), when_exhausted=WhenExhausted.finish),
    },
    rating_version="0123456789ab",
    default_plan="free",
    orgs={
        "acme": OrgTerms(
            Terms(ACME, Level.org, org=LimitTerms(compute_burst=200), max_session_ms=60_000, tier=Tier.economy),
            projects={
                "dictation": Terms(
                    (*ACME, "projects", "dictation"),
                    Level.project,
                    key=LimitTerms(max_sessions=4),
                    rater=Rater.block_15s,
                    max_session_ms=50_000,
                )
            },
            keys={
                key_pseudonym("ci bot"): Terms(
                    (*ACME, "keys", "ci bot"),
                    Level.key,
                    key=LimitTerms(max_sessions=3, is_shadow=True),
                    max_session_ms=40_000,
                    when_limiter_away=WhenLimiterAway.closed,
                )
            },
        ),
        "bound": OrgTerms(Terms(("orgs", "bound"), Level.org), plan="free"),
        "lost": OrgTerms(Terms(("orgs", "lost"), Level.org), plan="nowhere"),
    },
)


def test_a_key_is_known_by_half_of_a_digest_of_its_subject() -> None:
    assert key_pseudonym("ci bot") == hashlib.sha256(b"ci bot").hexdigest()[:16]
    assert key_pseudonym("") == ""


def test_the_narrowest_place_wins_for_each_value() -> None:
    assert BOOK.resolve(CALLER) == CallerPlan(
        name="gold",
        principal=Principal("acme", "dictation", key_pseudonym("ci bot")),
        key=LevelLimits(max_sessions=3, is_shadow=True),
        project=LevelLimits(max_sessions=20),
        org=LevelLimits(compute=Rate(10, 200), max_sessions=50, starts=Rate(2, 20)),
        max_session_ms=40_000,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=WhenLimiterAway.closed,
        rater=Rater.block_15s,
        rating_version="0123456789ab",
        tier=Tier.economy,
    )


def test_every_value_is_explained_by_the_place_that_says_it() -> None:
    said = BOOK.explain(CALLER)
    assert isinstance(said, SaidPlan)
    assert said.name == Said("gold", TOKEN_CLAIM)
    assert said.org.compute_per_s == Said(10, (*GOLD, "org"))
    assert said.org.compute_burst == Said(200, (*ACME, "org"))
    assert said.key.max_sessions == Said(3, (*ACME, "keys", "ci bot", "key"))
    assert said.rater == Said(Rater.block_15s, (*ACME, "projects", "dictation"))
    assert said.max_session_ms == Said(40_000, (*ACME, "keys", "ci bot"))
    assert said.when_exhausted == Said(WhenExhausted.throttle, NOT_SAID)


def test_another_key_and_another_project_have_the_limits_of_the_plan_and_org() -> None:
    plan = BOOK.resolve(replace(CALLER, project="other", subject="someone"))
    assert isinstance(plan, CallerPlan)
    assert (plan.key, plan.project) == (LevelLimits(max_sessions=5), LevelLimits(max_sessions=20))
    assert (plan.max_session_ms, plan.rater) == (60_000, Rater.connection_second)


def test_a_project_and_a_key_that_the_token_does_not_name_have_no_limits() -> None:
    plan = BOOK.resolve(replace(CALLER, project="", subject=""))
    assert isinstance(plan, CallerPlan)
    assert (plan.principal.project, plan.principal.key) == ("", "")
    assert (plan.key, plan.project) == (LevelLimits(), LevelLimits())


@pytest.mark.parametrize("claim", ["gold", "free", "", "made-up"])
def test_an_org_is_bound_to_its_plan_whatever_its_tokens_say(claim: str) -> None:
    said = BOOK.explain(replace(STRANGER, tenant="bound", plan=claim))
    assert isinstance(said, SaidPlan)
    assert said.name == Said("free", ("orgs", "bound"))


def test_a_token_without_a_plan_has_the_default_one() -> None:
    plan = BOOK.resolve(STRANGER)
    assert isinstance(plan, CallerPlan)
    assert (plan.name, plan.max_session_ms) == ("free", DEFAULT_MAX_SESSION_MS)


@pytest.mark.parametrize(
    ("book", "caller", "name"),
    [
        (BOOK, replace(CALLER, plan="made-up"), "made-up"),
        (BOOK, replace(STRANGER, tenant="lost", plan="gold"), "gold"),
        (replace(BOOK, default_plan=None), STRANGER, ""),
        (replace(BOOK, fallback_plan="nowhere"), replace(CALLER, plan="made-up"), "made-up"),
    ],
)
def test_a_caller_without_a_plan_that_is_known_is_told_by_type(book: PlanBook, caller: Caller, name: str) -> None:
    assert book.resolve(caller) == book.explain(caller) == UnknownPlan(name)


def test_a_plan_that_is_not_known_falls_back_where_the_book_says_so() -> None:
    plan = replace(BOOK, fallback_plan="free").resolve(replace(CALLER, plan="made-up"))
    assert isinstance(plan, CallerPlan)
    assert plan.name == "free"


names = st.sampled_from(["", "acme", "bound", "gold", "free", "dictation", "ci bot", "x"])


@given(caller=st.builds(Caller, names, names, names, names, st.just(frozenset()), st.just(""), st.just(0)))
def test_what_is_explained_is_what_holds(caller: Caller) -> None:
    plan, said = BOOK.resolve(caller), BOOK.explain(caller)
    if isinstance(plan, UnknownPlan) or isinstance(said, UnknownPlan):
        assert plan == said
        return
    assert {level: plan.of(level) for level in Level} == {level: said.of(level).limits() for level in Level}
    for scalar in (
        "name",
        "max_session_ms",
        "when_exhausted",
        "when_limiter_away",
        "rater",
        "tier",
        "when_log_unwritable",
    ):
        assert getattr(plan, scalar) == getattr(said, scalar).value


def test_a_running_session_has_the_plan_of_its_name_as_it_is_by_now() -> None:
    plan = BOOK.resolve(CALLER)
    assert isinstance(plan, CallerPlan)
    assert BOOK.resolve_again(plan) == plan
    gold = replace(BOOK.plans["gold"], org=LimitTerms(max_sessions=60))
    again = replace(BOOK, plans={**BOOK.plans, "gold": gold}, rating_version="f" * 12).resolve_again(plan)
    assert again == replace(plan, org=LevelLimits(max_sessions=60), rating_version="f" * 12), (
        "the org's burst says nothing without a rate"
    )


def test_a_running_session_keeps_its_plan_when_another_becomes_the_default() -> None:
    plan = BOOK.resolve(STRANGER)
    assert isinstance(plan, CallerPlan)
    again = replace(BOOK, default_plan="gold").resolve_again(plan)
    assert isinstance(again, CallerPlan)
    assert again.name == "free"


def test_a_running_session_follows_its_org_when_it_is_bound_to_another_plan() -> None:
    plan = BOOK.resolve(CALLER)
    assert isinstance(plan, CallerPlan)
    bound = replace(BOOK, orgs={"acme": replace(BOOK.orgs["acme"], plan="free")}).resolve_again(plan)
    assert isinstance(bound, CallerPlan)
    assert (bound.name, bound.org.max_sessions) == ("free", 1)


def test_a_running_session_whose_plan_is_gone_is_told_by_type() -> None:
    plan = BOOK.resolve(CALLER)
    assert isinstance(plan, CallerPlan)
    assert replace(BOOK, plans={"free": BOOK.plans["free"]}).resolve_again(plan) == UnknownPlan("gold")


def test_two_callers_of_an_org_and_plan_share_the_orgs_limits_whatever_project_and_key_say() -> None:
    """A bucket that is shared has one rate."""
    callers = [replace(CALLER, project=project, subject=who) for project in ("dictation", "") for who in ("ci bot", "")]
    plans = [BOOK.resolve(caller) for caller in callers]
    assert len({plan.org for plan in plans if isinstance(plan, CallerPlan)}) == 1


def test_a_session_under_way_gets_what_the_new_book_says_of_its_plan() -> None:
    before = BOOK.resolve(CALLER)
    assert isinstance(before, CallerPlan)
    gold = replace(BOOK.plans["gold"], key=LimitTerms(max_sessions=1))
    after = replace(BOOK, plans={**BOOK.plans, "gold": gold}, rating_version="fedcba987654", orgs={})
    assert after.resolve_again(before) == after.resolve(CALLER)
    assert BOOK.resolve_again(before) == before


def test_a_plan_that_is_gone_holds_for_nobody_any_more() -> None:
    before = BOOK.resolve(CALLER)
    assert isinstance(before, CallerPlan)
    after = replace(BOOK, plans={"free": BOOK.plans["free"]})
    assert after.resolve_again(before) == UnknownPlan("gold")
