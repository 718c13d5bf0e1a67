"""Policy sets: what a caller's agreement permits."""

from __future__ import annotations

import pytest

from gateway.admission.policy_sets import PolicySet, ThisRegionOnly
from policies.facts import Caller

pytestmark = pytest.mark.unit


def test_where_no_policy_was_made_everybody_is_served_in_this_region_alone() -> None:
    caller = Caller("acme", "", "", "", frozenset(), "eu-only", 0)
    assert ThisRegionOnly("eu-west").permitted(caller) == PolicySet(frozenset({"eu-west"}))
