"""One session's pool over all regions that it may use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    Progress,
    RefusalReason,
    Refused,
    StreamOptions,
)
from policies.plans import Tier
from policies.replacement_pace import PaceLimits
from policies.residency.permitted import Permitted
from policies.retry_budget import RetryLimits
from policies.routing_facts import Health, RegionState
from regions.catalog import Catalog
from tests.fakes.region_pool import load_of, status_of
from tests.harness.waiting import until
from tests.regions.placement_world import EVERYWHERE, RULES, World, spec, turns

pytestmark = pytest.mark.unit

GRANT = Granted(1, "scripted", "1", 80_000)


# --- where it goes --------------------------------------------------------------------------------------------


async def test_a_session_is_placed_where_the_round_trip_is_shortest() -> None:
    (world,) = [World()]
    caller = world.session()
    await caller.opened()
    assert (caller.last, caller.pool.region) == ([GRANT], "north")


async def test_a_session_is_placed_in_the_nearest_region_that_its_policy_permits() -> None:
    world = World()
    caller = world.session(frozenset({"east", "south"}))
    await caller.opened()
    assert caller.pool.region == "east"


async def test_the_region_is_known_when_the_grant_is_heard() -> None:
    world = World()
    caller = world.session()
    seen: list[str | None] = []
    caller.heard[1] = Spy(lambda: seen.append(caller.pool.region))
    await caller.opened()
    assert seen == ["north"]


async def test_nothing_is_heard_from_inside_open() -> None:
    world = World()
    for region in world.pools.values():
        region.link.load = None
    world.now_ms += 50
    world.facts.look_again()
    caller = world.session()
    caller.open()
    assert caller.last == []
    await turns()
    assert [type(event) for event in caller.last] == [Refused]


async def test_audio_and_cuts_reach_the_engine_that_granted_and_nobody_before() -> None:
    world = World()
    caller = world.session()
    stream = caller.open()
    stream.send_audio(b"\1\0")
    stream.finalize(1)
    await turns()
    stream.send_audio(b"\2\0")
    stream.finalize(1)
    stream.finish(1)
    engine = world.pools["north"].last
    assert (bytes(engine.audio), engine.cuts) == (b"\2\0", [(1, False), (1, True)])


async def test_audio_goes_to_the_links_stream_without_a_step_between() -> None:
    world = World()
    stream = await world.session().opened()
    assert stream.send_audio == world.pools["north"].last.send_audio


# --- refusals -------------------------------------------------------------------------------------------------


async def test_a_region_that_refuses_costs_one_retry_and_the_session_hears_nothing_of_it() -> None:
    """Its report was stale: a slot that it told of is taken."""
    world = World()
    world.pools["north"].refuses = RefusalReason.no_free_slot
    caller = world.session()
    await caller.opened()
    assert (caller.last, caller.pool.region) == ([GRANT], "east")
    assert world.count("patchbay_placements_total", region="north", result="no_free_slot") == 1
    assert world.count("patchbay_placements_total", region="east", result="granted") == 1
    assert world.count("patchbay_placement_first_choice_refused_total") == 1
    assert world.count("patchbay_placement_retries_total") == 1


async def test_when_all_refuse_the_session_hears_the_reason_nearest_to_a_grant() -> None:
    world = World()
    world.pools["north"].refuses = RefusalReason.unknown_model
    world.pools["east"].refuses = RefusalReason.no_free_slot
    world.pools["south"].refuses = RefusalReason.draining
    caller = world.session()
    await caller.opened()
    assert caller.last == [Refused(1, RefusalReason.no_free_slot, 50)]


async def test_a_refusal_for_the_options_goes_to_the_client_at_once() -> None:
    world = World()
    world.pools["north"].refuses = RefusalReason.bad_options
    caller = world.session()
    await caller.opened()
    assert (caller.last, len(world.pools["east"].streams)) == ([Refused(1, RefusalReason.bad_options, 50)], 0)


async def test_retries_are_few() -> None:
    world = World(replace(RULES, retries=RetryLimits(max_attempts=2)))
    world.pools["north"].refuses = world.pools["east"].refuses = RefusalReason.no_free_slot
    caller = world.session()
    await caller.opened()
    assert (len(world.pools["south"].streams), len(caller.last)) == (0, 1)


async def test_a_session_whose_policy_permits_nothing_that_is_there_is_told_so() -> None:
    world = World()
    caller = world.session(frozenset({"atlantis"}))
    await caller.opened()
    assert caller.last == [Refused(1, RefusalReason.no_permitted_region, 500)]


async def test_a_model_that_no_region_has_is_refused_for_good() -> None:
    world = World()
    caller = world.session()
    await caller.opened(options=StreamOptions(model="other"))
    assert caller.last == [Refused(1, RefusalReason.unknown_model)]


async def test_while_a_region_is_out_of_sight_nobody_says_that_a_model_is_unknown() -> None:
    world = World()
    world.pools["east"].link.load = None
    world.look()
    caller = world.session()
    await caller.opened(options=StreamOptions(model="other"))
    assert caller.last == [Refused(1, RefusalReason.unreachable, 500)]


async def test_an_engine_that_connected_since_the_snapshot_is_found() -> None:
    world = World()
    for pool in world.pools.values():
        pool.link.load = None
    world.now_ms += 50
    world.facts.look_again()
    world.pools["east"].link.load = load_of()
    world.now_ms += 50
    world.hear()
    caller = world.session()
    await caller.opened()
    assert caller.pool.region == "east"


async def test_own_placements_are_counted_before_the_next_report_comes() -> None:
    """Ten slots are told of; the eleventh session goes elsewhere without asking here in vain."""
    world = World()
    for _ in range(10):
        await world.session(frozenset({"north", "south"})).opened()
    caller = world.session(frozenset({"north", "south"}))
    await caller.opened()
    assert (caller.pool.region, len(world.pools["north"].streams)) == ("south", 10)


# --- losses ---------------------------------------------------------------------------------------------------


async def test_a_session_goes_on_in_the_second_region_when_the_firsts_link_breaks() -> None:
    world = World()
    caller = world.session(frozenset({"east", "south"}))
    await caller.opened()
    pool = world.pools["east"]
    pool.link.load = None
    world.now_ms += 50
    world.hear(["south"])
    pool.last.say(Lost(1, LossReason.link_lost))
    await caller.opened(is_replay=True)
    assert (caller.heard[1][-1], caller.pool.region) == (Lost(1, LossReason.link_lost), "south")


async def test_a_region_that_took_audio_and_said_nothing_is_avoided_by_this_session() -> None:
    world = World()
    caller = world.session(frozenset({"east", "south"}))
    stream = await caller.opened()
    stream.cancel(LossReason.silent)
    assert world.pools["east"].last.is_cancelled
    await caller.opened(is_replay=True)
    assert caller.pool.region == "south"


async def test_the_only_permitted_region_is_tried_again_whatever_happened_there() -> None:
    world = World()
    caller = world.session(frozenset({"east"}))
    stream = await caller.opened()
    stream.cancel(LossReason.silent)
    await caller.opened(is_replay=True)
    assert (caller.pool.region, len(world.pools["east"].streams)) == ("east", 2)


async def test_a_lost_engine_among_several_here_does_not_send_the_session_to_another_region() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    world.pools["north"].last.say(Lost(1, LossReason.engine_failed))
    await caller.opened(is_replay=True)
    assert caller.pool.region == "north"


async def test_an_engine_that_is_lost_before_it_answers_costs_one_retry() -> None:
    world = World()
    world.pools["north"].is_silent = True
    caller = world.session()
    caller.open()
    world.pools["north"].last.say(Lost(1, LossReason.link_lost))
    await turns()
    assert (caller.last, caller.pool.region) == ([GRANT], "east")


async def test_a_region_in_which_sessions_fall_silent_is_tripped_and_sessions_that_go_well_bring_it_back() -> None:
    world = World()
    for _ in range(8):
        stream = await world.session(frozenset({"east", "south"})).opened()
        if world.pools["east"].streams and stream.inner is world.pools["east"].last:
            stream.cancel(LossReason.silent)
    east = world.facts.region("east")
    assert east is not None
    assert east.health.state(world.now_ms) is Health.tripped
    world.look()
    caller = world.session(frozenset({"east", "south"}))
    await caller.opened()
    assert caller.pool.region == "south"
    world.look(after_ms=RULES.breaker.first_cool_off_ms)
    await world.session(frozenset({"east"})).opened()
    probe = world.pools["east"].last
    probe.say(FinalResult(1, 0, 16_000, "", (), EndReason.finalize))
    assert east.health.state(world.now_ms) is Health.admitting


async def test_a_region_on_probation_is_asked_by_everybody_where_there_is_no_other() -> None:
    world = World()
    only_east = frozenset({"east"})
    for _ in range(8):
        (await world.session(only_east).opened()).cancel(LossReason.silent)
    world.look(after_ms=RULES.breaker.first_cool_off_ms)
    callers = [world.session(only_east) for _ in range(4)]
    for caller in callers:
        await caller.opened()
    assert [(caller.last, caller.pool.region) for caller in callers] == [([GRANT], "east")] * 4


async def test_a_stream_that_went_on_for_long_went_well_without_a_final() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    stream = caller.pool._streams[0]
    world.now_ms += RULES.proven_after_ms
    world.pools["north"].last.say(Progress(1, 80_000, 100))
    assert stream.is_proven
    world.pools["north"].last.say(Progress(1, 80_320, 100))
    assert caller.last[-1] == Progress(1, 80_320, 100)


async def test_a_finished_stream_is_forgotten() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    world.pools["north"].last.say(FinalResult(1, 0, 16_000, "", (), EndReason.finish))
    world.pools["north"].last.say(Progress(1, 16_000, 100))
    assert (type(caller.last[-1]), caller.pool._streams) == (FinalResult, [])


# --- the pace of those that go on -----------------------------------------------------------------------------


async def test_after_a_mass_loss_sessions_come_in_their_turn() -> None:
    """Two at once, and ten a second: the third is held back, the fourth is told when to ask again."""
    pace = PaceLimits(per_target_per_s=20, per_gateway_per_s=1_000, burst=2, jitter_ms=0)
    world = World(replace(RULES, pace=pace, hold_ms=60))
    callers = [world.session() for _ in range(4)]
    for number, caller in enumerate(callers):
        caller.pool._place = replace(caller.pool._place, session_id=f"s{number}")
        caller.open(is_replay=True)
    await turns()
    assert [[type(event) for event in caller.last] for caller in callers] == [[Granted], [Granted], [], [Refused]]
    refused = callers[3].last[0]
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.retry_after_ms) == (RefusalReason.paced, 100)
    world.now_ms += 50
    await until(lambda: callers[2].last == [GRANT], what="the turn of the third")


async def test_a_session_that_waits_for_its_turn_may_give_up() -> None:
    pace = PaceLimits(per_target_per_s=20, per_gateway_per_s=1_000, burst=1, jitter_ms=0)
    world = World(replace(RULES, pace=pace))
    first, second = world.session(), world.session()
    first.open(is_replay=True)
    second.open(is_replay=True).cancel()
    await turns()
    assert (len(world.pools["north"].streams), second.last) == (1, [])


# --- moving ---------------------------------------------------------------------------------------------------


async def test_sessions_move_out_of_a_region_that_drains_and_not_into_it_again() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    world.wants("north", RegionState.draining)
    world.placement._look_for_leaving(world.placement.snapshot)
    await until(lambda: len(caller.last) == 2, what="the word to move")
    assert caller.last[1] == MoveAway(1, MoveReason.region_draining, RULES.move_within_ms)
    await caller.opened(is_replay=True)
    assert (caller.last, caller.pool.region) == ([replace_epoch(GRANT, 2)], "east")


async def test_a_session_that_has_nowhere_to_go_stays_in_a_region_that_drains() -> None:
    world = World()
    caller = world.session(frozenset({"north"}))
    stream = await caller.opened()
    world.wants("north", RegionState.draining)
    world.placement._look_for_leaving(world.placement.snapshot)
    await until(lambda: stream.timer is None, what="its turn")
    assert (caller.last, stream.is_told_to_move) == ([GRANT], False)


async def test_a_session_that_does_not_leave_a_disabled_region_in_time_is_handed_back() -> None:
    world = World(replace(RULES, move_within_ms=20))
    caller = world.session()
    await caller.opened()
    world.wants("north", RegionState.disabled)
    world.placement._look_for_leaving(world.placement.snapshot)
    await until(lambda: len(caller.last) == 3, what="the hand-back")
    assert caller.last[1:] == [MoveAway(1, MoveReason.region_draining, 20), Lost(1, LossReason.drained)]
    assert world.pools["north"].last.is_cancelled


async def test_a_region_that_says_itself_that_it_drains_gets_nothing_new() -> None:
    world = World()
    world.pools["east"].link.region = status_of("east", state=RegionState.draining)
    world.look()
    caller = world.session(frozenset({"east", "south"}))
    await caller.opened()
    assert caller.pool.region == "south"


async def test_a_session_whose_only_engine_here_is_slow_moves_to_another_region() -> None:
    """Its second stream must not land on the engine that it flees."""
    world = World()
    caller = world.session()
    slow = await caller.opened()
    await caller.opened(is_replay=True)
    assert caller.pool.region == "east"
    slow.cancel(LossReason.slow)
    assert [stream.region.name for stream in caller.pool._streams if stream.region] == ["east"]
    world.pools["east"].last.say(Lost(2, LossReason.engine_failed))
    await caller.opened(is_replay=True)
    assert caller.pool.region == "east"


async def test_a_session_whose_engine_drains_goes_on_in_the_same_region() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    world.pools["north"].last.say(MoveAway(1, MoveReason.engine_draining, 5_000))
    await caller.opened(is_replay=True)
    assert caller.pool.region == "north"


async def test_what_a_link_told_already_is_not_told_again() -> None:
    """A relay that drains says so itself; so does the region's state, a moment later."""
    world = World()
    caller = world.session(frozenset({"east", "south"}))
    await caller.opened()
    world.pools["east"].last.say(MoveAway(1, MoveReason.region_draining, 5_000))
    world.pools["east"].link.region = status_of("east", state=RegionState.draining)
    world.look()
    world.placement._look_for_leaving(world.placement.snapshot)
    stream = caller.pool._streams[0]
    await until(lambda: stream.was_told_to_leave, what="its turn")
    world.pools["east"].last.say(MoveAway(1, MoveReason.region_draining, 4_000))
    assert caller.last[1:] == [MoveAway(1, MoveReason.region_draining, 5_000)]


async def test_a_session_whose_region_is_active_again_stays() -> None:
    world = World()
    caller = world.session()
    stream = await caller.opened()
    world.wants("north", RegionState.draining)
    world.placement._look_for_leaving(world.placement.snapshot)
    world.wants("north", RegionState.active)
    await until(lambda: stream.timer is None, what="its turn")
    assert (caller.last, stream.is_told_to_move) == ([GRANT], False)


# --- another policy set ---------------------------------------------------------------------------------------


async def test_a_stream_outside_of_a_new_policy_set_moves_and_is_cut_off_after_a_bound() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    caller.pool.permit(Permitted.everywhere_in(frozenset({"east"})))
    await until(lambda: len(caller.last) == 3, what="the end")
    assert caller.last[1:] == [
        MoveAway(1, MoveReason.outside_policy, RULES.outside_policy_ms),
        Lost(1, LossReason.drained),
    ]
    assert world.pools["north"].last.is_cancelled
    await caller.opened(is_replay=True)
    assert caller.pool.region == "east"


async def test_a_set_that_changes_again_and_again_does_not_put_off_the_end() -> None:
    world = World()
    caller = world.session()
    stream = await caller.opened()
    caller.pool.permit(Permitted.everywhere_in(frozenset({"east"})))
    timer = stream.timer
    caller.pool.permit(Permitted.everywhere_in(frozenset({"south"})))
    assert timer is not None
    assert (stream.timer, timer.cancelled()) == (timer, False)
    caller.pool.permit(Permitted.everywhere_in(EVERYWHERE))
    await until(lambda: stream.timer is None, what="its time")
    assert (len(caller.last), stream.move_reason) == (2, None)


async def test_where_nothing_else_is_permitted_audio_stops_at_once() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    caller.pool.permit(Permitted.everywhere_in(frozenset()))
    await until(lambda: len(caller.last) == 2, what="the end")
    assert caller.last[1:] == [Lost(1, LossReason.drained)]


async def test_a_question_outside_of_a_new_policy_set_is_taken_back_and_asked_elsewhere() -> None:
    world = World()
    world.pools["north"].is_silent = True
    caller = world.session()
    caller.open()
    caller.pool.permit(Permitted.everywhere_in(frozenset({"south"})))
    await until(lambda: len(caller.last) == 1, what="the grant")
    assert (world.pools["north"].last.is_cancelled, caller.pool.region) == (True, "south")


async def test_a_stream_inside_of_a_new_policy_set_goes_on() -> None:
    world = World()
    caller = world.session()
    stream = await caller.opened()
    caller.pool.permit(Permitted.everywhere_in(frozenset({"north"})))
    await turns()
    assert (caller.last, stream.timer) == ([GRANT], None)


# --- the end --------------------------------------------------------------------------------------------------


async def test_a_closed_session_leaves_nothing_open() -> None:
    world = World()
    caller = world.session()
    await caller.opened()
    await caller.opened(is_replay=True)
    caller.pool.close()
    assert [pool.link.open_streams for pool in world.pools.values()] == [0, 0, 0]
    assert world.placement._sessions == {}


async def test_a_region_that_is_no_edge_of_engines_is_never_asked() -> None:
    world = World(catalog=Catalog({name: spec(name, is_edge=name == "east") for name in EVERYWHERE}, "d1"))
    caller = world.session(frozenset({"east", "south"}), tier=Tier.premium)
    await caller.opened()
    assert (caller.pool.region, world.pools["east"].streams) == ("south", [])


class Spy(list[object]):
    """A list that tells when something is put into it."""

    def __init__(self, note: object) -> None:
        super().__init__()
        self._note = note

    def append(self, event: object) -> None:
        super().append(event)
        self._note()  # type: ignore[operator]


def replace_epoch(grant: Granted, epoch: int) -> Granted:
    return Granted(epoch, grant.model, grant.model_version, grant.window_samples)
