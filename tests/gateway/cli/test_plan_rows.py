"""What is shown of a plan is what its file says, in the file's words."""

from __future__ import annotations

import pytest

from gateway.cli.plan_rows import FIELDS, Row, override_rows, plan_rows, rows_of
from gateway.limits.plans_document import parse
from policies.facts import Caller
from policies.plan_book import SaidPlan

pytestmark = pytest.mark.unit

BOOK = parse("""
[plans.gold]
tier = "premium"
[plans.gold.org]
compute_seconds_per_second = 2.5
compute_seconds_burst = 100
shadow = true
[orgs.acme]
plan = "gold"
shadow = false
[orgs.acme.project]
max_sessions = "unlimited"
[orgs.acme.keys."ci bot"]
max_session_ms = 5_000
key = { session_starts_per_second = 0.5, session_starts_burst = 1 }
""")


def test_each_value_that_holds_is_a_row_with_its_place() -> None:
    said = BOOK.explain(Caller("acme", "p", "ci bot", "", frozenset(), "", 0))
    assert isinstance(said, SaidPlan)
    assert rows_of(said) == [
        Row("plan", "gold", "orgs.acme"),
        Row("tier", "premium", "plans.gold"),
        Row("rater", "audio_second", "default"),
        Row("max_session_ms", 5_000, 'orgs.acme.keys."ci bot"'),
        Row("when_exhausted", "throttle", "default"),
        Row("when_limiter_away", "safe", "default"),
        Row("when_log_unwritable", "admit", "default"),
        Row("org.compute_seconds_per_second", "2.5", "plans.gold.org"),
        Row("org.compute_seconds_burst", "100", "plans.gold.org"),
        Row("org.max_sessions", "unlimited", ""),
        Row("org.session_starts_per_second", "unlimited", ""),
        Row("org.shadow", False, "orgs.acme"),
        Row("project.compute_seconds_per_second", "unlimited", ""),
        Row("project.max_sessions", "unlimited", "orgs.acme.project"),
        Row("project.session_starts_per_second", "unlimited", ""),
        Row("project.shadow", False, "orgs.acme"),
        Row("key.compute_seconds_per_second", "unlimited", ""),
        Row("key.max_sessions", "unlimited", ""),
        Row("key.session_starts_per_second", "0.5", 'orgs.acme.keys."ci bot".key'),
        Row("key.session_starts_burst", "1", 'orgs.acme.keys."ci bot".key'),
        Row("key.shadow", False, "orgs.acme"),
    ]


def test_a_plan_is_shown_without_what_orgs_change() -> None:
    rows = plan_rows(BOOK)["gold"]
    assert Row("org.shadow", True, "plans.gold.org") in rows
    assert {row.field for row in rows} <= {"plan", *FIELDS}


def test_changes_are_shown_in_the_order_of_the_book() -> None:
    assert override_rows(BOOK) == [
        Row("plan", "gold", "orgs.acme"),
        Row("shadow", False, "orgs.acme"),
        Row("project.max_sessions", "unlimited", "orgs.acme.project"),
        Row("max_session_ms", 5_000, 'orgs.acme.keys."ci bot"'),
        Row("key.session_starts_per_second", "0.5", 'orgs.acme.keys."ci bot".key'),
        Row("key.session_starts_burst", "1", 'orgs.acme.keys."ci bot".key'),
    ]
