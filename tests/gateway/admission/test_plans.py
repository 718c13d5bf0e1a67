"""Plans as admission sees them."""

from __future__ import annotations

import pytest

from gateway.admission.plans import UnlimitedPlans
from policies.facts import Caller
from policies.plan_book import key_pseudonym
from policies.plans import Level, LevelLimits, Principal

pytestmark = pytest.mark.unit


def _caller(**said: str) -> Caller:
    facts = {"tenant": "acme", "project": "", "subject": "", "plan": ""} | said
    return Caller(facts["tenant"], facts["project"], facts["subject"], facts["plan"], frozenset(), "", 0)


def test_where_no_plans_were_made_nothing_is_limited_whatever_a_token_names() -> None:
    plan = UnlimitedPlans().resolve(_caller(plan="gold"))
    assert [plan.of(level) for level in Level] == [LevelLimits()] * 3


def test_usage_still_counts_for_somebody() -> None:
    plan = UnlimitedPlans().resolve(_caller(project="p", subject="developer"))
    assert plan.principal == Principal("acme", "p", key_pseudonym("developer"))
