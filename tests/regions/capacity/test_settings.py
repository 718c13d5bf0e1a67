"""Settings of capacity: what they become, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from policies.plans import Tier
from policies.scaling import ScalingRules
from policies.tier_slots import TierHeadroom
from regions.capacity.settings import CapacitySettings

pytestmark = pytest.mark.unit


def test_by_default_all_tiers_find_a_slot() -> None:
    assert CapacitySettings().rules(TierHeadroom(economy_permille=150)) == ScalingRules(tier_headroom_permille=150)


def test_whoever_need_not_be_served_leaves_nothing() -> None:
    rules = CapacitySettings(lowest_tier=Tier.premium).rules(TierHeadroom(economy_permille=150))
    assert rules.tier_headroom_permille == 0


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"spot_missing_after_ms": 20, "spot_back_after_ms": 10}, "spot_back_after_ms must not be below"),
        ({"look_every_ms": 1_000, "scale_down_after_ms": 1_500}, "at least twice look_every_ms"),
        ({"lowest_tier": "gold"}, "lowest_tier"),
        ({"expected_peaks": {"en": -1}}, "greater than or equal to 0"),
        ({"reserved_flor_slots": 3}, "reserved_flor_slots"),
    ],
)
def test_what_cannot_be_is_refused(tree: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CapacitySettings.model_validate(tree)
