"""Settings of placement: their defaults are the rules' own, and what cannot be is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from policies.plans import Tier
from policies.routing_facts import CapacityClass
from policies.tier_classes import ClassRule
from regions.placement_rules import PlacementRules
from regions.placement_settings import PlacementSettings

pytestmark = pytest.mark.unit


def test_the_defaults_are_those_of_the_rules() -> None:
    assert PlacementSettings().rules() == PlacementRules()


def test_what_is_set_reaches_the_rules() -> None:
    tree = {
        "hold_ms": 200,
        "weights": {"margin_ms": 7.0, "spot_ms": {"premium": 1.0, "standard": 2.0, "economy": 3.0}},
        "pace": {"per_target_per_s": 9},
        "headroom": {"economy_permille": 300},
        "tiers": {"economy": {"order": ["spot"], "reserved_permille": 500}},
        "spill": {"enter_permille": 700, "leave_permille": 600},
        "slow_start": {"window_ms": 0},
        "shedding": {"is_on": False},
    }
    rules = PlacementSettings.model_validate(tree).rules()
    assert (rules.hold_ms, rules.weights.margin_ms, rules.pace.per_target_per_s) == (200, 7.0, 9)
    assert (rules.weights.spot_ms[Tier.economy], rules.headroom.economy_permille) == (3.0, 300)
    assert rules.classes.economy == ClassRule((CapacityClass.spot,), 500)
    assert rules.classes.standard == ClassRule()
    assert (rules.spill.enter_permille, rules.slow_start.window_ms, rules.shedding.is_on) == (700, 0, False)


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"health": {"low_live_permille": 500}}, "low_live_permille must not exceed"),
        ({"health": {"low_lag_ms": 20_000}}, "low_lag_ms must not exceed"),
        ({"breaker": {"first_cool_off_ms": 200_000}}, "first_cool_off_ms must not exceed"),
        ({"headroom": {"standard_permille": 200}}, "standard_permille must not exceed"),
        ({"tiers": {"economy": {"order": ["spot", "spot"]}}}, "order names each class once"),
        ({"tiers": {"economy": {"order": []}}}, "at least 1 item"),
        ({"spill": {"leave_permille": 950}}, "leave_permille must not exceed"),
        ({"shedding": {"claim_ms": 1_000}}, "claim_ms must exceed grace_ms"),
        ({"shedding": {"max_retry_after_ms": 10}}, "retry_after_ms must not exceed"),
        ({"hold_ms": 5_000}, "less than or equal to 1500"),
        ({"weights": {"spot_ms": {"premium": 1.0}}}, "Field required"),
        ({"wait_ms": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(tree: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PlacementSettings.model_validate(tree)
