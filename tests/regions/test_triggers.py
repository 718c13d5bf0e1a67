"""Each way to a new engine has its word."""

from __future__ import annotations

import pytest

from engines.interface import MoveReason
from policies.residency.vocabulary import Trigger
from regions.triggers import trigger_of
from tests.regions.placement_world import World

pytestmark = pytest.mark.unit


async def test_a_session_that_begins_is_initial_and_one_that_lost_its_engine_fails_over() -> None:
    caller = World().session()
    first, again = caller.open(), World().session().open(is_replay=True)
    assert trigger_of(first, [first]) is Trigger.initial
    assert trigger_of(again, [again]) is Trigger.failover


@pytest.mark.parametrize(
    ("why", "trigger"),
    [
        (None, Trigger.rebalance),
        (MoveReason.engine_slow, Trigger.rebalance),
        (MoveReason.engine_draining, Trigger.drain),
        (MoveReason.region_draining, Trigger.drain),
        (MoveReason.operator, Trigger.drain),
        (MoveReason.outside_policy, Trigger.drain),
    ],
)
async def test_a_session_that_moves_says_what_for(why: MoveReason | None, trigger: Trigger) -> None:
    caller = World().session()
    old = await caller.opened()
    old.move_reason = why
    new = caller.open(is_replay=True)
    assert trigger_of(new, caller.pool.streams) is trigger
