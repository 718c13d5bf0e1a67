"""Live sessions follow policy: after each change, and never what held before the last one."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.policy_sets import PolicySet
from gateway.policy_followed import PolicyFollowed
from policies.residency.permitted import Permitted
from tests.fakes.policy_sets import GivenPolicySets
from tests.gateway.test_session_registry import make
from tests.gateway.test_session_runner import Session
from tests.harness.waiting import until

pytestmark = pytest.mark.unit


async def test_after_each_change_all_are_asked_about_again_and_a_later_one_begins_anew() -> None:
    sessions = [Session() for _ in range(100)]
    regions = ["first"]
    sets = GivenPolicySets(lambda _caller: PolicySet.of_list(frozenset(regions)))
    followed = PolicyFollowed(make(*sessions), sets)
    following = asyncio.create_task(followed.run())
    await asyncio.sleep(0)
    assert sessions[0].place.permitted is None, "nothing has changed"
    for name in ("second", "third"):
        regions[:] = [name]
        followed.changed()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    third = Permitted.everywhere_in(frozenset({"third"}))
    await until(lambda: all(each.place.permitted == third for each in sessions), what="the last policy")
    following.cancel()
