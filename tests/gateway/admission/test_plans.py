"""Plans as admission sees them."""

from __future__ import annotations

import pytest

from gateway.admission.plans import UnlimitedPlans, principal_of
from policies.facts import Caller
from policies.plans import Level, LevelLimits, Principal

pytestmark = pytest.mark.unit


def _caller(**said: str) -> Caller:
    facts = {"tenant": "acme", "project": "", "subject": "", "plan": ""} | said
    return Caller(facts["tenant"], facts["project"], facts["subject"], facts["plan"], frozenset(), "", 0)


def test_where_no_plans_were_made_nothing_is_limited_whatever_a_token_names() -> None:
    plan = UnlimitedPlans().resolve(_caller(plan="gold"))
    assert [plan.of(level) for level in Level] == [LevelLimits()] * 3


def test_a_key_is_known_by_a_pseudonym_of_the_tokens_subject() -> None:
    """The SHA-256 of `developer` begins with these digits."""
    assert principal_of(_caller(project="p", subject="developer")) == Principal("acme", "p", "88fa0d759f845b47")


def test_a_token_without_a_subject_has_no_key_of_its_own() -> None:
    assert principal_of(_caller()) == Principal("acme", "", "")
