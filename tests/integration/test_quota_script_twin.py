"""The quota script on a real Redis and its twin in Python answer alike and leave the same behind, whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.limits.calls import Close, Open, Record, Request, Restore, Run
from gateway.limits.script_codec import ScriptRules
from gateway.metering.entries import MS_PER_HOUR, Slice, UsageEvent
from policies.plans import MAX_BURST, MAX_RATE_PER_S, MICRO, CallerPlan, Level, LevelLimits, Principal, Rate
from tests.fakes.quota_twin import BITS, QuotaTwin
from tests.harness.quota import NAMES, ScriptedQuota, caller_plan, tab_labels
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.metering.entries import TabLabels

pytestmark = pytest.mark.integration

Draw = Callable[[Any], Any]
ORG = "acme"
NOON_US = 1_795_780_800 * MICRO
NOON_MS = NOON_US // 1_000
RULES = ScriptRules(lease_ttl_ms=15_000, event_window_slices=4)

rates = st.builds(
    Rate,
    per_s=st.sampled_from([0, 1, 7, 333_333, MICRO, 50 * MICRO, 8_999_000_001, MAX_RATE_PER_S]),
    burst=st.sampled_from([1, 1_000, 700_001, 3 * MICRO, 60 * MICRO, MAX_BURST]),
)
limits = st.builds(
    LevelLimits,
    compute=st.none() | rates,
    max_sessions=st.none() | st.integers(0, 3),
    starts=st.none() | rates,
    is_shadow=st.booleans(),
)
principals = st.builds(
    Principal, org=st.just(ORG), project=st.sampled_from(["", "web"]), key=st.sampled_from(["", "aa", "bb"])
)
forward_us = [0, 0, 1, 999, 100_000, 100_000, 1_000_003, 5 * MICRO, 14_999_999, 15 * MICRO, 3_600 * MICRO, 10**15]
clock_steps_us = st.sampled_from([*forward_us, -1, -2 * MICRO, -3_600 * MICRO])
amounts_us = st.sampled_from([0, 1, 500, 700_000, MICRO, 2 * MICRO, 61 * MICRO]) | st.integers(0, 3 * MICRO)
costs_us = st.sampled_from([0, 1, 699_999, MICRO, 5 * MICRO, 4_000_000 * MICRO])
times_ms = st.integers(-3, 3).map(lambda steps: NOON_MS + steps * MS_PER_HOUR // 2)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    client = redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5)
    yield client
    client.close()
    server.stop()


class Usage:
    """What one session truly used: every slice of it is the same whenever it is sent."""

    def __init__(self, draw: Draw) -> None:
        self._costs_us = draw(st.lists(costs_us, min_size=4, max_size=4))
        self._first_at_ms = draw(times_ms)
        self._step_ms = draw(st.sampled_from([1_000, MS_PER_HOUR // 3, -MS_PER_HOUR // 2]))

    def slice(self, number: int) -> Slice:
        return Slice(number, self._costs_us[number % 4], 900, 1_001, self._first_at_ms + number * self._step_ms)

    def slices(self, first: int, count: int) -> tuple[Slice, ...]:
        return tuple(self.slice(number) for number in range(first, first + count))

    def before(self, number: int) -> int:
        return sum(self._costs_us[each % 4] for each in range(number))

    def event(self, labels: TabLabels, first: int, count: int) -> UsageEvent:
        pieces = self.slices(first, count)
        used_us = sum(piece.compute_us for piece in pieces)
        sums = (used_us, 900 * count, 1_001 * count, 900 * first, 1_001 * first)
        return UsageEvent(labels, first, first + count - 1, *sums, pieces[-1].at_ms, is_last=False)


class Caller:
    """Draws requests of three sessions: new ones, some again, some out of order or after a loss, under new limits."""

    def __init__(self, draw: Draw, twin: QuotaTwin) -> None:
        self._draw = draw
        self._twin = twin
        self._sent: list[Request] = []
        self._principals = [draw(principals) for _ in range(3)]
        self._usage = [Usage(draw) for _ in range(3)]
        self._plans: dict[int, CallerPlan] = {}

    def batch(self) -> list[Request]:
        return [self._request() for _ in range(self._draw(st.integers(1, 5)))]

    def _request(self) -> Request:
        draw = self._draw
        if self._sent and draw(st.integers(0, 5)) == 0:
            return draw(st.sampled_from(self._sent))
        number = draw(st.integers(0, 2))
        request = self._new_request(self._usage[number], self._labels(number), self._plan(number))
        self._sent.append(request)
        return request

    def _new_request(self, usage: Usage, labels: TabLabels, plan: CallerPlan) -> Request:
        draw = self._draw
        tab = self._twin.tabs.get(NAMES.tab(ORG, labels.session_id))
        settled, recorded = (tab.settled.before, tab.recorded.before) if tab else (0, 0)
        due = max(0, settled + draw(st.sampled_from([-3, -1, 0, 0, 0, 0, 1])))
        slices = usage.slices(due, draw(st.sampled_from([0, 1, 1, 2, 6])))
        match draw(st.sampled_from("OORRRRRRCXEE")):
            case "O":
                return Open(labels, plan, draw(amounts_us), draw(amounts_us))
            case "R":
                is_renewal, has_new = draw(st.booleans()), draw(st.booleans())
                return Run(labels, plan, slices, draw(amounts_us), draw(amounts_us), is_renewal, has_new)
            case "C":
                return Close(labels, plan, slices, draw(st.booleans()))
            case "X":
                base = max(0, recorded + draw(st.integers(-2, 3)))
                before = (usage.before(base), 900 * base, 1_001 * base)
                kept = usage.slices(base + (draw(st.integers(0, 9)) == 0), draw(st.integers(0, 5)))
                return Restore(labels, plan, base, *before, kept, draw(amounts_us), draw(st.booleans()))
            case _:
                first = max(0, recorded + draw(st.integers(-2, 3)))
                return Record(usage.event(labels, first, draw(st.integers(1, 5))))

    def _labels(self, number: int) -> TabLabels:
        who = caller_plan(principal=self._principals[number])
        return tab_labels(f"s{number}", who, rating=self._draw(st.sampled_from(["", "", "new"])))

    def _plan(self, number: int) -> CallerPlan:
        if number not in self._plans or self._draw(st.integers(0, 9)) == 0:
            key, project, org = (self._draw(limits) for _ in Level)
            who = self._principals[number]
            self._plans[number] = caller_plan(key=key, project=project, org=org, principal=who)
        return self._plans[number]


def compare(script: ScriptedQuota, twin: QuotaTwin) -> None:
    """Hash by hash: nothing is there that the other does not have."""
    for key, bucket in twin.buckets.items():
        expected = {name: getattr(bucket, name) for name in ("balance_us", "held_us", "at_us", "carry")}
        assert script.numbers(key) == expected, key
    for key, places in twin.leases.items():
        assert script.places(key) == places, key
    for key, tab in twin.tabs.items():
        settled, recorded = tab.settled, tab.recorded
        assert script.tab(key) == {
            "state": tab.state,
            "held_at": sum(BITS[level] for level in tab.held_at),
            "held_us": tab.held_us,
            "settled": settled.before,
            "settled_us": settled.compute_us,
            "settled_audio_ms": settled.audio_ms,
            "settled_conn_ms": settled.connection_ms,
            "recorded": recorded.before,
            "recorded_us": recorded.compute_us,
            "recorded_audio_ms": recorded.audio_ms,
            "recorded_conn_ms": recorded.connection_ms,
            "at_ms": tab.at_ms,
            "num_cuts": tab.num_cuts,
            "last_cut": tab.last_cut,
        }, key
    assert script.numbers(NAMES.tally(ORG)) == twin.tally
    known = {*twin.buckets, *twin.tabs, *(key for key, places in twin.leases.items() if places)}
    known |= {NAMES.tally(ORG)} if twin.tally else set()
    known |= {NAMES.meter(ORG)} if twin.events else set()
    assert {key.decode() for key in script.client.keys("*")} == known


def lose_a_key(client: redis.Redis, draw: Draw, twin: QuotaTwin) -> None:
    """As by expiry, or by a failover that lost the last writes."""
    kept = [of for of in (twin.buckets, twin.tabs, twin.leases) if of]
    if kept:
        place: dict[str, Any] = draw(st.sampled_from(kept))
        key = draw(st.sampled_from(sorted(place)))
        del place[key]
        client.delete(key)


def play(client: redis.Redis, draw: Draw, steps: int) -> None:
    client.flushdb()
    script, twin = ScriptedQuota(client, RULES), QuotaTwin(NAMES, RULES)
    caller = Caller(draw, twin)
    now_us = NOON_US
    for _ in range(steps):
        now_us = max(NOON_US - 7_200 * MICRO, min(4 * 10**15, now_us + draw(clock_steps_us)))
        if draw(st.integers(0, 11)) == 0:
            lose_a_key(client, draw, twin)
        batch = caller.batch()
        assert script.carry_out(ORG, batch, now_us=now_us) == twin.carry_out(ORG, batch, now_us=now_us)
        compare(script, twin)
    assert script.events(ORG) == twin.events


def test_random_batches_have_equal_answers_and_leave_equal_state(client: redis.Redis, is_long: bool) -> None:
    @settings(
        max_examples=1_000 if is_long else 40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],  # how fast Redis is shall not fail it
    )
    @given(data=st.data(), steps=st.integers(1, 30 if is_long else 10))
    def plays(data: st.DataObject, steps: int) -> None:
        play(client, data.draw, steps)

    plays()
