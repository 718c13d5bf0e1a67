"""When no region has a slot, one of a lower tier is freed: for whom, whose, and who does not get it instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.interface import Granted, MoveAway, MoveReason, RefusalReason, Refused, StreamOptions
from policies.plans import Tier
from policies.residency.permitted import Permitted
from policies.routing_facts import CapacityClass, RouteDecision, RuledOut
from policies.tier_classes import ClassRule, TierClasses
from policies.tier_slots import TierHeadroom
from regions.placing import SessionPlace, Shed
from regions.shedding import full_regions, promised_away
from tests.fakes.region_pool import load_of
from tests.harness.waiting import until
from tests.regions.placement_world import RULES, Caller, World

pytestmark = pytest.mark.unit

NORTH = frozenset({"north"})
FULL_RULES = replace(RULES, headroom=TierHeadroom(0, 0))


class Sessions:
    """Of a world whose north is full; `told` are those that were asked to end, in that order."""

    def __init__(self, rules: object = FULL_RULES) -> None:
        self.world = World(rules)  # type: ignore[arg-type]
        self.told: list[tuple[str, Shed]] = []
        self.deaf: set[str] = set()
        self.asked = 0
        self.pools: dict[str, Caller] = {}

    def session(self, name: str, tier: Tier, permitted: frozenset[str] = NORTH) -> Caller:
        self.world.now_ms += 10
        place = SessionPlace(name, Permitted.everywhere_in(permitted), tier, 0, end=lambda shed: self._end(name, shed))
        self.pools[name] = Caller(self.world.placement.session(place))
        return self.pools[name]

    async def working(self, name: str, tier: Tier) -> Caller:
        caller = self.session(name, tier)
        await caller.opened()
        assert isinstance(caller.last[0], Granted)
        self.world.look()
        return caller

    def fill(self, *, slots: int = 2, used: int = 2) -> None:
        self.world.pools["north"].link.load = load_of(slots=slots, used=used)
        self.world.look()

    def _end(self, name: str, shed: Shed) -> bool:
        self.asked += 1
        if name in self.deaf:
            return False
        self.told.append((name, shed))
        return True

    @property
    def ended(self) -> list[str]:
        return [name for name, _ in self.told]


async def full_of_economy() -> Sessions:
    sessions = Sessions()
    await sessions.working("old", Tier.economy)
    await sessions.working("young", Tier.economy)
    sessions.fill()
    return sessions


async def test_the_youngest_of_the_lowest_tier_ends_and_the_one_above_has_its_slot() -> None:
    sessions = await full_of_economy()
    premium = sessions.session("p", Tier.premium)
    await premium.opened()
    assert sessions.ended == ["young"]
    shed = sessions.told[0][1]
    assert (shed.for_tier, shed.grace_ms) == (Tier.premium, RULES.shedding.grace_ms)
    assert 1_000 <= shed.retry_after_ms < 3_000
    assert premium.last == []
    sessions.pools["young"].pool.close()
    sessions.fill(used=1)
    await until(lambda: bool(premium.last))
    assert isinstance(premium.last[0], Granted)
    count = sessions.world.count("patchbay_sessions_shed_total", tier="economy", for_tier="premium")
    assert (sessions.ended, count) == (["young"], 1)


async def test_one_ends_for_each_that_waits_however_often_it_asks() -> None:
    sessions = await full_of_economy()
    waiting = sessions.session("p", Tier.premium)
    for _ in range(3):
        stream = await waiting.opened()
        stream.cancel()
    assert sessions.ended == ["young"]
    await sessions.session("p2", Tier.standard).opened()
    assert sessions.ended == ["young", "old"]
    await sessions.session("p3", Tier.premium).opened()
    assert sessions.ended == ["young", "old"]


async def test_nobody_ends_for_an_equal() -> None:
    sessions = Sessions()
    await sessions.working("a", Tier.standard)
    sessions.fill()
    standard = sessions.session("b", Tier.standard)
    await standard.opened()
    assert (sessions.ended, standard.last) == ([], [Refused(1, RefusalReason.no_free_slot, RULES.retry_after_ms)])


async def test_the_slot_that_is_freed_is_not_for_those_below() -> None:
    sessions = await full_of_economy()
    await sessions.session("p", Tier.premium).opened()
    sessions.pools["young"].pool.close()
    sessions.world.pools["north"].link.load = load_of(slots=2, used=1)
    sessions.world.look()
    late = sessions.session("late", Tier.economy)
    await late.opened()
    assert late.last == [Refused(1, RefusalReason.no_free_slot, RULES.retry_after_ms)]


async def test_when_the_one_above_is_gone_its_slot_is_for_everybody() -> None:
    sessions = await full_of_economy()
    waiting = sessions.session("p", Tier.premium)
    await waiting.opened()
    sessions.pools["young"].pool.close()
    waiting.pool.close()
    sessions.fill(used=1)
    late = sessions.session("late", Tier.economy)
    await late.opened()
    assert isinstance(late.last[0], Granted)


async def test_another_ends_where_the_youngest_ends_already() -> None:
    sessions = await full_of_economy()
    sessions.deaf = {"young"}
    await sessions.session("p", Tier.premium).opened()
    assert sessions.ended == ["old"]


async def test_where_all_end_already_few_are_asked() -> None:
    sessions = Sessions()
    for number in range(8):
        await sessions.working(f"e{number}", Tier.economy)
    sessions.fill(slots=8, used=8)
    sessions.deaf = {f"e{number}" for number in range(8)}
    await sessions.session("p", Tier.premium).opened()
    assert (sessions.ended, sessions.asked) == ([], 4)


async def test_nobody_ends_whose_slot_would_be_of_no_use() -> None:
    sessions = await full_of_economy()
    elsewhere = sessions.session("east", Tier.premium, frozenset({"east"}))
    sessions.world.pools["east"].refuses = RefusalReason.no_free_slot
    await elsewhere.opened()
    other = sessions.session("other", Tier.premium)
    await other.opened(options=StreamOptions(model="another"))
    assert sessions.ended == []
    assert isinstance(other.last[0], Refused)


async def test_nobody_ends_for_one_that_may_not_be_on_every_machine() -> None:
    """The slot that is freed might be on a machine that policy does not permit it."""
    sessions = await full_of_economy()
    waiting = sessions.session("p", Tier.premium)
    waiting.pool.permit(Permitted(process=NORTH, classes={"north": frozenset({CapacityClass.reserved})}))
    sessions.world.pools["north"].capacity = CapacityClass.reserved
    sessions.fill(slots=3)
    sessions.world.pools["north"].refuses = RefusalReason.no_free_slot
    await waiting.opened()
    assert (sessions.ended, type(waiting.last[0])) == ([], Refused)


async def test_nobody_ends_whose_engine_goes_away_itself() -> None:
    sessions = await full_of_economy()
    sessions.world.pools["north"].last.say(MoveAway(1, MoveReason.engine_draining, 5_000))
    await sessions.session("p", Tier.premium).opened()
    assert sessions.ended == ["old"]


async def test_nobody_ends_in_a_region_that_was_taken_out_of_the_set_meanwhile() -> None:
    sessions = await full_of_economy()
    east = sessions.world.pools["east"]
    east.is_silent = True
    waiting = sessions.session("p", Tier.premium, frozenset({"north", "east"}))
    await waiting.opened()
    waiting.pool.permit(Permitted.everywhere_in(frozenset({"east"})))
    east.last.say(Refused(1, RefusalReason.no_free_slot, 50))
    await until(lambda: bool(waiting.last))
    assert (sessions.ended, type(waiting.last[0])) == ([], Refused)


async def test_a_session_that_recovers_has_the_slot_of_a_lower_tier_and_a_slow_one_has_not() -> None:
    sessions = await full_of_economy()
    standard = sessions.session("s", Tier.standard)
    await standard.opened(is_replay=True)
    assert sessions.ended == ["young"]
    sessions = await full_of_economy()
    sessions.fill(slots=3)
    works = sessions.session("w", Tier.standard)
    await works.opened()
    sessions.fill(slots=3, used=3)
    await works.opened(is_replay=True)
    assert sessions.ended == []


async def test_a_tier_that_is_kept_off_some_machines_ends_nobody_for_its_new_sessions() -> None:
    sessions = Sessions(replace(FULL_RULES, classes=TierClasses(standard=ClassRule(reserved_permille=500))))
    await sessions.working("e", Tier.economy)
    sessions.fill()
    await sessions.session("s", Tier.standard).opened()
    assert sessions.ended == []
    await sessions.session("p", Tier.premium).opened()
    assert sessions.ended == ["e"]


async def test_one_free_slot_that_headroom_keeps_for_others_is_no_reason_to_end_anybody() -> None:
    sessions = Sessions(replace(RULES, headroom=TierHeadroom(standard_permille=500, economy_permille=500)))
    await sessions.working("e", Tier.economy)
    sessions.fill(slots=10, used=8)
    await sessions.session("s", Tier.standard).opened()
    assert sessions.ended == []
    sessions.fill(slots=10, used=5)
    await sessions.session("s2", Tier.standard).opened()
    assert sessions.ended == ["e"]


def test_a_promised_region_is_told_as_full() -> None:
    decision = RouteDecision((), {"a": RuledOut.failed_this_session, "b": RuledOut.no_free_slot})
    told = promised_away(decision, frozenset({"a", "c"}))
    assert told.ruled_out == {"a": RuledOut.no_free_slot, "b": RuledOut.no_free_slot}
    assert full_regions(told) == {"a", "b"}
    assert promised_away(decision, frozenset()) is decision
