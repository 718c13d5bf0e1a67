"""A placement that ignores the policy set is stopped by relay and engine: real ones, over mutual TLS, with grants."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from engines.interface import LossReason, Lost, MoveAway, MoveReason, RefusalReason, Refused
from engines.server.grants import GrantChecker
from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.routing_facts import ALL_CLASSES, CapacityClass, Health
from regions.placing import SessionPlace
from regions.relay.guard import RelayGuard
from tests.harness.grants import GrantKeys
from tests.harness.relay_world import HERE, THERE
from tests.harness.waiting import until
from tests.regions.placement_world import Caller
from tests.regions.test_placement_with_relay import Gateway, answered, two_regions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from policies.residency.grant import PlacementGrant
    from tests.harness.relay_world import RelayWorld

pytestmark = pytest.mark.integration

RESERVED_THERE = {THERE: frozenset({CapacityClass.reserved})}


class Fenced:
    """Two regions with grant keys. `policy_there`: what the relay's own region permits."""

    def __init__(self, world: RelayWorld, gateway: Gateway, keys: GrantKeys) -> None:
        self.world = world
        self.gateway = gateway
        self.keys = keys
        self.policy_there = ALL_CLASSES
        self.guard = RelayGuard(GrantChecker(keys.folder, region=THERE, is_relay=True), self._permitted_there)
        world.relay.guarded_by(self.guard)

    def _permitted_there(self, _grant: PlacementGrant, _goes_on: bool) -> frozenset[CapacityClass]:
        return self.policy_there

    def session(self, *placed_in: str, grant: bytes) -> Caller:
        """Placement believes that it may be in these regions; the grant says what policy does."""
        permitted = Permitted.everywhere_in(frozenset(placed_in))
        place = SessionPlace("s1", permitted, Tier.standard, 0, grant=lambda: grant)
        return Caller(self.gateway.placement.session(place))

    async def refused(self, *placed_in: str, grant: bytes) -> Refused:
        caller = self.session(*placed_in, grant=grant)
        caller.open()
        await until(lambda: bool(caller.last), what="an answer")
        (answer,) = caller.last
        assert isinstance(answer, Refused)
        caller.pool.close()
        return answer

    def stopped_by_relay(self, why: str) -> float:
        return self.world.sample("patchbay_relay_not_permitted_total", region=HERE, why=why)


@contextlib.asynccontextmanager
async def fenced_regions(folder: Path) -> AsyncIterator[Fenced]:
    keys = GrantKeys(folder / "keys", HERE, THERE)
    checks = ("--grant-keys", str(keys.folder), "--region")
    async with two_regions(
        folder, here=(*checks, HERE, "--capacity", "reserved"), there=(*checks, THERE, "--capacity", "spot")
    ) as (world, gateway, _):
        yield Fenced(world, gateway, keys)


async def test_no_stream_is_served_where_policy_does_not_permit_it_whatever_placement_does(tmp_path: Path) -> None:
    async with fenced_regions(tmp_path) as fenced:
        keys = fenced.keys
        here_alone = keys.grant(HERE, HERE, session_id="s1")

        # The relay stops what its peer's own policy does not permit, or what another region signed.
        answer = await fenced.refused(THERE, grant=here_alone)
        assert answer == Refused(1, RefusalReason.not_permitted, None, "other_region")
        answer = await fenced.refused(THERE, grant=keys.grant(THERE, THERE, session_id="s1"))
        assert answer == Refused(1, RefusalReason.not_permitted, None, "other_issuer")
        assert [fenced.stopped_by_relay(why) for why in ("other_region", "other_issuer")] == [1, 1]

        # A relay that checks nothing: the engine does, and knows best what its machine is.
        fenced.world.relay._floor.guard = None
        assert (await fenced.refused(THERE, grant=here_alone)).detail == "other_region"
        on_reserved = keys.grant(HERE, THERE, session_id="s1", classes=RESERVED_THERE)
        assert (await fenced.refused(THERE, grant=on_reserved)).detail == "other_capacity"
        fenced.world.relay.guarded_by(fenced.guard)

        # An engine here that was wrongly asked: the next region is tried, and it is nobody's fault there.
        caller = fenced.session(HERE, THERE, grant=keys.grant(HERE, THERE, session_id="s1"))
        await answered(caller)
        assert caller.pool.region == THERE
        assert {region.health for region in fenced.gateway.placement.snapshot.regions} == {Health.admitting}

        # The other region's policy changes under the stream.
        fenced.policy_there = frozenset()
        fenced.world.relay.policy_changed()
        await until(lambda: isinstance(caller.last[-1], Lost), what="the end")
        assert caller.last[1:] == [MoveAway(1, MoveReason.outside_policy, 1_000), Lost(1, LossReason.drained)]
        answer = await fenced.refused(THERE, grant=keys.grant(HERE, THERE, session_id="s1"))
        assert answer.detail == "own_policy"
