"""What the quota script promises, on a real Redis whose time the test sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import redis

from gateway.limits.calls import Close, Open, Record, RefusedFor, Reply, Restore, Run, Status
from gateway.limits.script_codec import ScriptRules
from gateway.metering.entries import MS_PER_HOUR, Slice
from policies.plans import MICRO, CallerPlan, Level, LevelLimits, Principal, Rate
from tests.harness.quota import NAMES, ScriptedQuota, caller_plan, tab_labels
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.limits.calls import Request

pytestmark = pytest.mark.integration

WHO = Principal(org="acme", project="web", key="00112233aabbccdd")
NOON_US = 1_795_780_800 * MICRO
NOON_MS = NOON_US // 1_000
TTL_MS = 15_000
PER_SECOND = Rate(per_s=MICRO, burst=10 * MICRO)
LIMITED = caller_plan(org=LevelLimits(compute=PER_SECOND))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def quota(server: RedisServer) -> Iterator[Quota]:
    with redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5) as client:
        client.flushall()
        yield Quota(ScriptedQuota(client, ScriptRules(event_window_slices=4, tally_hours=2)))


class Quota:
    """The script, with a clock."""

    def __init__(self, script: ScriptedQuota) -> None:
        self.script = script
        self.client = script.client
        self.now_us = NOON_US

    def __call__(self, *requests: Request) -> Reply:
        """The answer to the last."""
        return self.script.carry_out("acme", requests, now_us=self.now_us)[-1]

    def wait(self, milliseconds: int) -> None:
        self.now_us += milliseconds * 1_000

    def bucket(self, level: Level = Level.org) -> dict[str, int]:
        return self.script.numbers(NAMES.bucket(WHO, level))

    def tally(self) -> dict[str, int]:
        return self.script.numbers(NAMES.tally("acme"))

    def covered(self) -> list[tuple[int, int, int, bool]]:
        return [(each.first, each.last, each.compute_us, each.is_last) for each in self.script.events("acme")]


def opening(plan: CallerPlan = LIMITED, session: str = "s1", hold_us: int = MICRO) -> Open:
    return Open(tab_labels(session, plan), plan, hold_us, hold_us)


def running(first: int, count: int = 1, *, plan: CallerPlan = LIMITED, cost_us: int = 100_000, **changes: int) -> Run:
    at_ms = changes.get("at_ms", NOON_MS)
    slices = tuple(Slice(number, cost_us, 1_000, 1_000, at_ms) for number in range(first, first + count))
    hold_us = changes.get("hold_us", 0)
    return Run(tab_labels("s1", plan), plan, slices, hold_us, changes.get("least_us", hold_us), renews_lease=False)


def test_a_refusal_names_the_narrowest_level_and_takes_nothing_at_any(quota: Quota) -> None:
    small = LevelLimits(compute=Rate(per_s=MICRO, burst=MICRO))
    plan = caller_plan(key=LevelLimits(compute=PER_SECOND), project=small, org=small)
    reply = quota(opening(plan, hold_us=2 * MICRO))
    assert (reply.status, reply.refused_for, reply.level) == (Status.refused, RefusedFor.compute, Level.project)
    assert [quota.bucket(level)["held_us"] for level in Level] == [0, 0, 0]
    assert not quota.client.exists(NAMES.tab("acme", "s1"), NAMES.leases(WHO, Level.org))


@pytest.mark.parametrize("per_s", [1, 7, 333_333, MICRO, 9_000 * MICRO])
def test_what_was_refused_is_granted_after_the_time_told_and_not_a_millisecond_before(quota: Quota, per_s: int) -> None:
    plan = caller_plan(org=LevelLimits(compute=Rate(per_s=per_s, burst=10 * MICRO)))
    quota(opening(plan, hold_us=10 * MICRO), running(0, plan=plan, cost_us=10 * MICRO))
    lacking_us = min(per_s // 3 + 1, 10 * MICRO)
    refused = quota(opening(plan, "s2", hold_us=lacking_us))
    assert refused.retry_after_ms is not None
    quota.wait(refused.retry_after_ms - 1)
    assert quota(opening(plan, "s2", hold_us=lacking_us)).status is Status.refused
    quota.wait(1)
    assert quota(opening(plan, "s2", hold_us=lacking_us)).status is Status.ok


def test_what_the_burst_can_never_hold_has_the_longest_hint(quota: Quota) -> None:
    assert quota(opening(hold_us=11 * MICRO)).retry_after_ms == ScriptRules().max_retry_ms


def test_with_less_than_wanted_the_least_is_held(quota: Quota) -> None:
    quota(opening(hold_us=8 * MICRO))
    request = Open(tab_labels("s2", LIMITED), LIMITED, 4 * MICRO, MICRO)
    assert quota(request) == Reply(Status.ok, held_us=MICRO, remaining_us=MICRO, level=Level.org)


def test_slices_that_come_again_are_settled_once(quota: Quota) -> None:
    quota(opening(hold_us=5 * MICRO))
    once = quota(running(0, 3))
    assert quota(running(0, 3)) == once == quota(running(1, 1))
    assert (once.settled, once.settled_us, once.held_us) == (3, 300_000, 4_700_000)
    assert quota.tally() == {f"{NOON_MS // MS_PER_HOUR}:settled_us": 300_000}


def test_slices_with_a_gap_before_them_change_nothing(quota: Quota) -> None:
    quota(opening())
    assert quota(running(1)) == Reply(Status.missing_slices, held_us=MICRO)
    assert quota(running(0, 2)).settled == 2


def test_work_that_cost_more_than_was_held_is_a_debt_that_is_repaid_first(quota: Quota) -> None:
    quota(opening(hold_us=MICRO))
    quota(running(0, cost_us=13 * MICRO))
    assert quota.bucket()["balance_us"] == -3 * MICRO
    refused = quota(running(1, 0, hold_us=MICRO))
    assert (refused.status, refused.remaining_us, refused.retry_after_ms) == (Status.refused, 0, 4_000)


def test_usage_is_billed_at_the_end_of_a_window_of_an_hour_and_of_the_session(quota: Quota) -> None:
    quota(opening())
    hour_ms = NOON_MS + MS_PER_HOUR
    quota(running(0, 6), running(6, 1, at_ms=hour_ms), Close(tab_labels("s1"), LIMITED))
    assert quota.covered() == [(0, 3, 400_000, False), (4, 5, 200_000, False), (6, 6, 100_000, True)]
    noon, next_hour = NOON_MS // MS_PER_HOUR, hour_ms // MS_PER_HOUR
    assert quota.tally() == {
        f"{noon}:settled_us": 600_000,
        f"{noon}:recorded_us": 600_000,
        f"{noon}:events": 2,
        f"{next_hour}:settled_us": 100_000,
        f"{next_hour}:recorded_us": 100_000,
        f"{next_hour}:events": 1,
    }


def test_an_event_never_covers_usage_under_two_sets_of_labels(quota: Quota) -> None:
    quota(opening(), running(0, 2))
    labels = tab_labels("s1", LIMITED, rating="ba9876543210")
    relabelled = Run(labels, LIMITED, (Slice(2, 7, 1, 1, NOON_MS),), 0, 0, renews_lease=False, has_new_labels=True)
    quota(relabelled, relabelled, Close(labels, LIMITED))
    assert [(each.labels.rating_version, each.first, each.last) for each in quota.script.events("acme")] == [
        ("0123456789ab", 0, 1),
        ("ba9876543210", 2, 2),
    ]


def test_a_closed_session_gives_back_what_it_held_and_its_place(quota: Quota) -> None:
    plan = caller_plan(org=LevelLimits(compute=PER_SECOND, max_sessions=1))
    quota(opening(plan), Close(tab_labels("s1", plan), plan))
    assert quota.bucket() == {"balance_us": 10 * MICRO, "held_us": 0, "at_us": NOON_US, "carry": 0}
    assert quota(opening(plan, "s2")).status is Status.ok
    assert quota(opening(plan)).status is Status.unknown_tab


def test_the_place_of_a_dead_gateway_comes_back_with_the_lease_and_not_before(quota: Quota) -> None:
    plan = caller_plan(key=LevelLimits(max_sessions=1), org=LevelLimits(max_sessions=1))
    quota(opening(plan))
    quota.wait(TTL_MS - 1)
    refused = quota(opening(plan, "s2"))
    assert (refused.refused_for, refused.level, refused.retry_after_ms) == (RefusedFor.sessions, Level.key, 1_000)
    quota.wait(1)
    assert quota(opening(plan, "s2")).status is Status.ok


def test_starts_are_limited_by_a_bucket_of_their_own(quota: Quota) -> None:
    plan = caller_plan(project=LevelLimits(starts=Rate(per_s=MICRO // 2, burst=MICRO)))
    assert quota(opening(plan)).status is Status.ok
    assert quota(opening(plan)).status is Status.ok, "the same session again is no start"
    refused = quota(opening(plan, "s2"))
    assert (refused.refused_for, refused.level, refused.retry_after_ms) == (RefusedFor.starts, Level.project, 2_000)
    quota.wait(2_000)
    assert quota(opening(plan, "s2")).status is Status.ok


def test_a_level_in_shadow_tells_what_it_would_have_refused_and_refuses_nothing(quota: Quota) -> None:
    strict = LevelLimits(compute=Rate(MICRO, MICRO), max_sessions=0, starts=Rate(1, 1), is_shadow=True)
    plan = caller_plan(key=strict, org=LevelLimits(compute=PER_SECOND))
    reply = quota(opening(plan, hold_us=2 * MICRO))
    assert (reply.status, reply.level, reply.shadow_level) == (Status.ok, Level.org, Level.key)
    assert reply.shadow_for is RefusedFor.sessions
    reply = quota(running(0, plan=plan, cost_us=3 * MICRO, hold_us=2 * MICRO))
    assert (reply.status, reply.shadow_level, reply.shadow_for) == (Status.ok, Level.key, RefusedFor.compute)
    assert quota.bucket(Level.key) == {"balance_us": 0, "held_us": 0, "at_us": NOON_US, "carry": 0}


def test_limits_that_come_and_go_move_what_is_held(quota: Quota) -> None:
    both = caller_plan(key=LevelLimits(compute=PER_SECOND), org=LevelLimits(compute=PER_SECOND))
    quota(opening())
    quota(running(0, 0, plan=both))
    assert [quota.bucket(level)["held_us"] for level in (Level.key, Level.org)] == [MICRO, MICRO]
    quota(running(0, 0, plan=caller_plan(key=LevelLimits(compute=PER_SECOND))))
    assert [quota.bucket(level)["held_us"] for level in (Level.key, Level.org)] == [MICRO, 0]
    assert quota.bucket()["balance_us"] == 10 * MICRO


def test_a_bucket_that_was_lost_never_gives_back_more_than_it_knows_to_be_held(quota: Quota) -> None:
    quota(opening(hold_us=4 * MICRO))
    quota.client.delete(NAMES.bucket(WHO, Level.org))
    quota(opening(session="s2"))
    quota(running(0, 0, plan=caller_plan()))
    assert quota.bucket() == {"balance_us": 10 * MICRO, "held_us": 0, "at_us": NOON_US, "carry": 0}


def test_a_borrowed_bucket_spends_what_was_credited_and_never_more(quota: Quota) -> None:
    plan = caller_plan(org=LevelLimits(compute=Rate(per_s=0, burst=10 * MICRO)))
    refused = quota(opening(plan))
    assert (refused.status, refused.retry_after_ms) == (Status.refused, ScriptRules().unknown_retry_ms)
    quota.client.hincrby(NAMES.bucket(WHO, Level.org), "balance_us", MICRO)
    assert quota(opening(plan)) == Reply(Status.ok, held_us=MICRO, remaining_us=0, level=Level.org)
    quota.wait(3_600_000)
    assert quota(running(0, plan=plan, cost_us=MICRO, hold_us=1)).status is Status.refused
    assert quota.client.ttl(NAMES.bucket(WHO, Level.org)) == -1


def test_a_sweep_closes_what_nobody_renews_and_leaves_what_somebody_does(quota: Quota) -> None:
    sweep = Close(tab_labels("s1"), caller_plan(), is_swept=True)
    quota(opening(), running(0, 2))
    assert quota(sweep).status is Status.refused
    quota.wait(TTL_MS)
    assert quota(sweep) == Reply(Status.ok, settled=2, recorded=2, settled_us=200_000, num_cuts=1, last_cut=2)
    assert quota.script.places(NAMES.leases(WHO, Level.org)) == {}
    assert quota.bucket()["held_us"] == 0


def test_a_session_that_was_swept_by_mistake_goes_on_and_is_billed_wholly(quota: Quota) -> None:
    quota(opening(), running(0, 2))
    quota.wait(TTL_MS)
    quota(Close(tab_labels("s1"), LIMITED, is_swept=True))
    assert quota(running(2, hold_us=MICRO)).status is Status.ok
    assert quota.script.places(NAMES.leases(WHO, Level.org)) == {"s1": quota.now_us // 1_000 + TTL_MS}
    quota(Close(tab_labels("s1"), LIMITED))
    assert quota.covered() == [(0, 1, 200_000, False), (2, 2, 100_000, True)]


def test_slices_that_come_after_the_close_are_billed(quota: Quota) -> None:
    quota(opening(), Close(tab_labels("s1"), LIMITED), running(0))
    assert quota.covered() == [(0, 0, 100_000, True)]
    assert quota.script.places(NAMES.leases(WHO, Level.org)) == {}


def test_a_redis_that_lost_everything_is_told_again_and_counts_the_same(quota: Quota) -> None:
    quota(opening(hold_us=5 * MICRO), running(0, 6))
    events, tally, bucket = quota.script.events("acme"), quota.tally(), quota.bucket()
    tab = quota.script.tab(NAMES.tab("acme", "s1"))
    quota.client.flushall()
    assert quota(running(6)).status is Status.unknown_tab
    labels = tab_labels("s1", LIMITED)
    slices = tuple(Slice(number, 100_000, 1_000, 1_000, NOON_MS) for number in (4, 5))
    restore = Restore(labels, LIMITED, 4, 400_000, 4_000, 4_000, slices, tab["held_us"], is_over=False)
    for _ in range(2):
        quota(Record(events[0]), restore)
    assert (quota.script.events("acme"), quota.tally()) == (events, tally)
    assert quota.script.tab(NAMES.tab("acme", "s1")) == tab
    assert quota.bucket()["held_us"] == bucket["held_us"]


def test_a_redis_that_lost_its_last_second_is_brought_up_and_bills_each_slice_once(quota: Quota) -> None:
    quota(opening(), running(0, 3))
    labels = tab_labels("s1", LIMITED)
    slices = (Slice(4, 100_000, 1_000, 1_000, NOON_MS),)
    restore = Restore(labels, LIMITED, 4, 400_000, 4_000, 4_000, slices, MICRO, is_over=True)
    assert quota(restore) == Reply(
        Status.ok, settled=5, recorded=5, settled_us=500_000, remaining_us=quota.bucket()["balance_us"], level=Level.org
    )
    assert quota.covered() == [(0, 3, 400_000, False), (4, 4, 100_000, True)]


def test_what_a_session_asked_for_is_billed_though_the_answer_to_its_opening_was_lost(quota: Quota) -> None:
    quota(opening())
    labels = msgspec.structs.replace(tab_labels("s1", LIMITED), add_ons=("numerals",))
    slices = (Slice(0, 100_000, 1_000, 1_000, NOON_MS),)
    quota(Restore(labels, LIMITED, 0, 0, 0, 0, slices, 0, is_over=False), Close(labels, LIMITED))
    assert [event.labels.add_ons for event in quota.script.events("acme")] == [("numerals",)]


def test_a_new_session_is_told_to_come_back_when_others_may_have_let_go_what_they_hold(quota: Quota) -> None:
    quota(opening(session="s1", hold_us=9_900_000))
    refused = quota(opening(session="s2", hold_us=110_000))
    assert (refused.refused_for, refused.retry_after_ms) == (RefusedFor.compute, 1_000)  # no time fills it by itself


def test_tabs_and_idle_buckets_do_not_stay_for_ever_and_live_ones_stay(quota: Quota) -> None:
    tab, bucket = NAMES.tab("acme", "s1"), NAMES.bucket(WHO, Level.org)
    quota(opening(hold_us=10 * MICRO))
    assert 172_790 <= quota.client.ttl(tab) <= 172_800
    assert 172_800 <= quota.client.ttl(bucket) <= 172_810, "two days after it is full again"
    quota.client.expire(tab, 5)
    quota(Run(tab_labels("s1", LIMITED), LIMITED, (), 0, 0, renews_lease=True))
    assert quota.client.ttl(tab) > 5


def test_a_tab_that_was_swept_is_known_as_long_as_its_hours_are(quota: Quota) -> None:
    """Its gateway may come back with slices that the sweep has billed already."""
    rules = quota.script.rules = ScriptRules(tab_ttl_s=60, tally_hours=2)
    quota(opening(), running(0))
    quota.wait(TTL_MS + 1)
    quota(Close(tab_labels("s1"), caller_plan(), is_swept=True))
    assert quota.client.ttl(NAMES.tab("acme", "s1")) > rules.tally_hours * 3_600 - 10
    quota(running(1))
    assert quota.client.ttl(NAMES.tab("acme", "s1")) <= 60


def test_the_tally_forgets_hours_that_are_long_gone(quota: Quota) -> None:
    quota(opening())
    for hour in range(12):
        quota.wait(MS_PER_HOUR)
        quota(running(hour, at_ms=quota.now_us // 1_000))
    now = quota.now_us // 1_000 // MS_PER_HOUR
    assert min(int(field.partition(":")[0]) for field in quota.tally()) >= now - 2 - 1


def test_numbers_near_two_to_the_53rd_are_exact(quota: Quota) -> None:
    cost_us = 2**53 - 1
    quota(opening(caller_plan()), running(0, plan=caller_plan(), cost_us=cost_us))
    reply = quota(Close(tab_labels("s1"), caller_plan()))
    assert reply.settled_us == cost_us
    assert quota.covered() == [(0, 0, cost_us, True)]
    assert quota.tally()[f"{NOON_MS // MS_PER_HOUR}:recorded_us"] == cost_us
