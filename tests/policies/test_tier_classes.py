"""Each tier fills the machines that it should have first, and has none that it may not."""

from __future__ import annotations

import pytest

from policies.plans import Tier
from policies.routing_facts import CapacityClass
from policies.tier_classes import ClassRule, TierClasses

pytestmark = pytest.mark.unit

RESERVED, SPOT = CapacityClass.reserved, CapacityClass.spot


@pytest.mark.parametrize(
    ("tier", "order"),
    [(Tier.premium, [RESERVED, SPOT]), (Tier.standard, [SPOT, RESERVED]), (Tier.economy, [SPOT, RESERVED])],
)
def test_premium_fills_reserved_machines_first_and_the_others_spot_ones(tier: Tier, order: list[CapacityClass]) -> None:
    rule = TierClasses().of(tier)
    assert sorted(CapacityClass, key=rule.rank) == order
    assert rule.is_free
    assert rule.limit_slots(RESERVED, 8) == rule.limit_slots(SPOT, 8) == 8


def test_a_tier_has_no_slot_of_a_class_that_it_may_not_have() -> None:
    rule = ClassRule((SPOT,))
    assert rule.limit_slots(RESERVED, 8) == 0
    assert rule.rank(SPOT) < rule.rank(RESERVED)
    assert not rule.is_free


def test_a_tier_takes_reserved_slots_up_to_its_share() -> None:
    rule = ClassRule(reserved_permille=500)
    assert (rule.limit_slots(RESERVED, 8), rule.limit_slots(SPOT, 8)) == (4, 8)
    assert not rule.is_free


@pytest.mark.parametrize("wrong", [{"order": ()}, {"order": (SPOT, SPOT)}, {"reserved_permille": 1_001}], ids=str)
def test_a_rule_that_places_nobody_anywhere_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"order|reserved_permille"):
        ClassRule(**wrong)  # type: ignore[arg-type]
