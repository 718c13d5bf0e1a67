"""A plans file becomes a book exactly, and every value that cannot be is told with its place."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.plans_document import DocumentRefused, Mistake, parse, read_tree
from policies.plan_book import OrgTerms, PlanBook, key_pseudonym
from policies.plan_terms import UNLIMITED, LimitTerms, Terms
from policies.plans import (
    MAX_BURST,
    MAX_RATE_PER_S,
    MICRO,
    Level,
    Rater,
    Tier,
    WhenExhausted,
    WhenLimiterAway,
    WhenLogUnwritable,
)

pytestmark = pytest.mark.unit

EVERYTHING = """
default_plan = "free"
fallback_plan = "gold"

[plans.free]

[plans.gold]
max_session_ms = 7_200_000
when_exhausted = "finish"
when_limiter_away = "open"
rater = "block_15s"
tier = "premium"
when_log_unwritable = "refuse"
shadow = true

[plans.gold.org]
compute_seconds_per_second = 2.5
compute_seconds_burst = 100
max_sessions = 7
session_starts_per_second = 0.000001
session_starts_burst = 1
shadow = false

[orgs.acme]
plan = "gold"
tier = "economy"
project = { max_sessions = "unlimited" }

[orgs.acme.projects.dictation]
rater = "connection_second"
key = { compute_seconds_per_second = "unlimited" }

[orgs.acme.keys."ci bot"]
key = { session_starts_per_second = "unlimited", shadow = true }
"""


def mistakes_of(text: str) -> list[str]:
    with pytest.raises(DocumentRefused) as refusal:
        parse(text)
    assert str(refusal.value) == "; ".join(map(str, refusal.value.mistakes))
    return [str(mistake) for mistake in refusal.value.mistakes]


def test_every_field_of_a_file_is_in_its_place_of_the_book() -> None:
    book = parse(EVERYTHING)
    acme = ("orgs", "acme")
    assert book == PlanBook(
        plans={
            "free": Terms(("plans", "free"), Level.org),
            "gold": Terms(
                ("plans", "gold"),
                Level.org,
                org=LimitTerms(2_500_000, 100_000_000, 7, 1, 1_000_000, is_shadow=False),
                is_shadow=True,
                max_session_ms=7_200_000,
                when_exhausted=WhenExhausted.finish,
                when_limiter_away=WhenLimiterAway.open,
                rater=Rater.block_15s,
                tier=Tier.premium,
                when_log_unwritable=WhenLogUnwritable.refuse,
            ),
        },
        rating_version=book.rating_version,
        default_plan="free",
        fallback_plan="gold",
        orgs={
            "acme": OrgTerms(
                Terms(acme, Level.org, project=LimitTerms(max_sessions=UNLIMITED), tier=Tier.economy),
                plan="gold",
                projects={
                    "dictation": Terms(
                        (*acme, "projects", "dictation"),
                        Level.project,
                        key=LimitTerms(compute_per_s=UNLIMITED),
                        rater=Rater.connection_second,
                    )
                },
                keys={
                    key_pseudonym("ci bot"): Terms(
                        (*acme, "keys", "ci bot"),
                        Level.key,
                        key=LimitTerms(starts_per_s=UNLIMITED, is_shadow=True),
                    )
                },
            )
        },
    )


def plan_of(limits: str) -> str:
    return f"[plans.p.org]\n{limits}"


@given(micro=st.integers(1, MAX_RATE_PER_S))
def test_an_amount_is_read_exactly_to_the_millionth(micro: int) -> None:
    book = parse(plan_of(f"compute_seconds_per_second = {Decimal(micro) / MICRO:f}"))
    assert book.plans["p"].org.compute_per_s == micro


@pytest.mark.parametrize(
    ("limits", "mistake"),
    [
        ("compute_seconds_per_second = 0", "must be more than 0 and at most 9000"),
        ("compute_seconds_per_second = -1.5", "must be more than 0 and at most 9000"),
        ("compute_seconds_per_second = 9000.000001", "must be more than 0 and at most 9000"),
        ("compute_seconds_per_second = 1e999999999", "must be more than 0 and at most 9000"),
        (
            "compute_seconds_per_second = 1e-999999999",
            "must be a whole number of millionths: no more than 6 decimal places",
        ),
        (
            "compute_seconds_per_second = 1.0000001",
            "must be a whole number of millionths: no more than 6 decimal places",
        ),
        (
            f"compute_seconds_per_second = 1.{'0' * 60}1",
            "must be a whole number of millionths: no more than 6 decimal places",
        ),
        ("compute_seconds_per_second = nan", "must be a finite number"),
        ("compute_seconds_per_second = inf", "must be a finite number"),
        ("compute_seconds_per_second = true", "must be a number"),
        ('compute_seconds_per_second = "lots"', "must be a number"),
        ("compute_seconds_burst = 1000000001", "must be more than 0 and at most 1000000000"),
        ('compute_seconds_burst = "unlimited"', "must be a number"),
        ("session_starts_burst = 0.999999", "must be at least 1, or no session could ever start"),
        ("max_sessions = 0", 'must be 1 to 1000000, or "unlimited"'),
        ("max_sessions = 1.5", 'must be 1 to 1000000, or "unlimited"'),
        ("max_sessions = true", 'must be 1 to 1000000, or "unlimited"'),
        ('shadow = "yes"', "must be a valid boolean"),
        ("bogus = 1", "is not known here"),
    ],
)
def test_a_value_that_cannot_be_is_a_mistake_with_its_place(limits: str, mistake: str) -> None:
    assert mistakes_of(plan_of(limits)) == [f"plans.p.org.{limits.split(' ')[0]}: {mistake}"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[plans.p]\nrater = 'word'", "plans.p.rater: must be 'audio_second', 'connection_second' or 'block_15s'"),
        ("[plans.p]\nmax_session_ms = 999", "plans.p.max_session_ms: must be greater than or equal to 1000"),
        ("[plans.p]\nmax_session_ms = 1e6", "plans.p.max_session_ms: must be a whole number of milliseconds"),
        (
            '[plans."a b"]',
            'plans."a b": is no name that a token can carry: 1 to 128 letters, digits or any of . _ : @ -',
        ),
        ("", "plans: is required"),
        ("plans = 1", "plans: must be a valid table"),
        ("[plans]\n[projects.x]", "projects: projects stand below their org: [orgs.NAME.projects.NAME]"),
        ("[plans]\n[keys.x]", "keys: keys stand below their org: [orgs.NAME.keys.SUBJECT]"),
        ("[plans.p]\nplan = 'q'", "plans.p.plan: only an org is bound to a plan: [orgs.NAME]"),
        (
            "[plans]\n[orgs.acme.projects.x.org]\nmax_sessions = 1",
            "orgs.acme.projects.x.org: limits of an org are shared by all its callers: "
            "they stand in [plans.NAME.org] or [orgs.NAME.org]",
        ),
        (
            "[plans]\n[orgs.acme.keys.x.project]\nmax_sessions = 1",
            "orgs.acme.keys.x.project: limits of a project are shared by all its keys: "
            "they stand in a plan, in an org or in the project",
        ),
        (
            '[plans]\n[orgs.acme.keys."a\\nb"]',
            'orgs.acme.keys."a\\nb": a key is named by its token\'s `sub`: 1 to 256 printable characters',
        ),
        ("a = 1\na = 2", "not TOML: "),
        ("[plans.p]\n[plans.p]", "not TOML: Cannot declare ('plans', 'p') twice (at line 2, column 9)"),
        (f"a = {'[' * 100_000}", "not TOML: "),
    ],
)
def test_what_stands_in_the_wrong_place_is_told_where_it_belongs(text: str, mistake: str) -> None:
    (told,) = mistakes_of(text)
    assert told.startswith(mistake)


def test_an_integer_of_thousands_of_digits_is_a_mistake_and_no_crash() -> None:
    (told,) = mistakes_of(f"a = {'9' * 5_000}")
    assert told.startswith("not TOML: Exceeds the limit")


def test_every_mistake_is_listed_at_once() -> None:
    assert [
        told.split(":")[0]
        for told in mistakes_of(EVERYTHING.replace("2.5", "0").replace("'", "") + "rater = 'x'\n[bogus]")
    ] == [
        "plans.gold.org.compute_seconds_per_second",
        'orgs.acme.keys."ci bot".rater',
        "bogus",
    ]


def test_the_rating_version_names_what_is_said_and_not_how_it_is_written() -> None:
    said = "[plans.a]\ntier = 'premium'\norg = { compute_seconds_per_second = 2.5 }\n[plans.b]\n"
    same = "[plans.b]\n# a comment\n[plans.a.org]\ncompute_seconds_per_second = 2.500\n[plans.a]\ntier = 'premium'\n"
    other = said.replace("2.5", "2.500001")
    versions = [parse(text).rating_version for text in (said, same, other)]
    assert versions[0] == versions[1] != versions[2]
    assert len(versions[0]) == 12
    assert int(versions[0], 16) >= 0


def test_what_is_logged_of_a_mistake_names_neither_tenant_nor_key() -> None:
    mistake = Mistake(("orgs", "acme", "keys", "ci bot", "key", "max_sessions"), "must be less")
    assert mistake.for_log() == f"orgs.822b33ad87c1.keys.{key_pseudonym('ci bot')}.key.max_sessions: must be less"
    with pytest.raises(DocumentRefused) as refusal:
        parse("[orgs.acme]\n[orgs.acme]")
    assert [mistake.for_log() for mistake in refusal.value.mistakes] == ["not TOML (at line 2, column 11)"]


@given(
    tree=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["plans", "orgs", "keys", "projects", "org", "key", "p", "max_sessions", "plan", "shadow"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_any_tree_is_a_book_or_a_list_of_mistakes(tree: object) -> None:
    try:
        read_tree(tree)  # type: ignore[arg-type]
    except DocumentRefused as refused:
        told = [mistake.for_log() for mistake in refused.mistakes]
    else:
        told = ["a book"]
    assert all(told)
    assert told


def test_the_largest_amounts_are_good() -> None:
    book = parse(plan_of("compute_seconds_per_second = 9000\ncompute_seconds_burst = 1000000000.0"))
    assert book.plans["p"].org == LimitTerms(compute_per_s=MAX_RATE_PER_S, compute_burst=MAX_BURST)
