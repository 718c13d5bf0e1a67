"""The quota script by the real clock of a redis-server whose clock leaps ahead and back by an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from gateway.limits.calls import Close, Open, Reply, Request, Run, Status
from gateway.limits.script_call import quota_script
from gateway.limits.script_codec import ScriptRules, decode, encode
from gateway.metering.entries import Slice
from policies.plans import MICRO, Level, LevelLimits, Rate
from tests.harness.quota import NAMES, caller_plan, tab_labels
from tests.harness.redis_clock import SettableClock
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

HOUR_S = 3_600
TTL_S = 15
PLAN = caller_plan(org=LevelLimits(compute=Rate(per_s=1_000, burst=10 * MICRO), max_sessions=1))
"""So little a second that a slow machine refills nothing worth mentioning while the test runs."""
SLACK_US = 300 * 1_000


class Leaping:
    def __init__(self, client: redis.Redis, clock: SettableClock) -> None:
        self.client = client
        self.clock = clock

    def __call__(self, request: Request) -> Reply:
        keys, arguments = encode(NAMES, "acme", [request], ScriptRules())
        return decode(self.client.eval(quota_script().text, len(keys), *keys, *arguments))[0]

    def balance_us(self) -> int:
        return int(self.client.hget(NAMES.bucket(PLAN.principal, Level.org), "balance_us") or 0)


@pytest.fixture
def leaping(tmp_path: Path) -> Iterator[Leaping]:
    clock = SettableClock(tmp_path / "clock")
    server = RedisServer(tmp_path / "redis").start(clock.environment)
    with redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5) as client:
        yield Leaping(client, clock)
    server.stop()


def opening(session: str) -> Open:
    return Open(tab_labels(session, PLAN), PLAN, 4 * MICRO, 4 * MICRO)


def renewal(slices: tuple[Slice, ...] = ()) -> Run:
    return Run(tab_labels("s1", PLAN), PLAN, slices, 0, 0, renews_lease=True)


def test_a_leap_ahead_fills_the_bucket_once_and_no_further(leaping: Leaping) -> None:
    leaping(opening("s1"))
    leaping(renewal((Slice(0, 9 * MICRO, 1, 1, 0),)))
    assert MICRO <= leaping.balance_us() <= MICRO + SLACK_US
    leaping.clock.leap(24 * HOUR_S)
    assert leaping(renewal()).status is Status.ok
    assert leaping.balance_us() == 10 * MICRO


def test_a_leap_back_gains_nothing_and_the_rate_counts_on_from_there(leaping: Leaping) -> None:
    leaping(opening("s1"))
    leaping(renewal((Slice(0, 9 * MICRO, 1, 1, 0),)))
    leaping.clock.leap(-HOUR_S)
    leaping(renewal())
    assert MICRO <= leaping.balance_us() <= MICRO + SLACK_US
    leaping.clock.leap(1_000)
    leaping(renewal())
    assert 2 * MICRO <= leaping.balance_us() <= 2 * MICRO + SLACK_US


def test_a_leap_back_keeps_no_place_for_longer_than_the_lease(leaping: Leaping) -> None:
    leaping(opening("s1"))
    leaping.clock.leap(-HOUR_S)
    assert leaping(opening("s2")).status is Status.refused, "not before its time either"
    leaping.clock.leap(TTL_S + 1)
    assert leaping(opening("s2")).status is Status.ok


def test_a_session_that_outlives_a_leap_ahead_has_its_place_again_at_its_next_renewal(leaping: Leaping) -> None:
    leaping(opening("s1"))
    leaping.clock.leap(HOUR_S)
    assert leaping(renewal()).status is Status.ok
    assert leaping(opening("s2")).status is Status.refused
    leaping(Close(tab_labels("s1", PLAN), PLAN))
    assert leaping(opening("s2")).status is Status.ok


def test_the_stream_takes_events_after_a_leap_back(leaping: Leaping) -> None:
    leaping(opening("s1"))
    for number, leap_s in enumerate((0, -HOUR_S, HOUR_S)):
        leaping.clock.leap(leap_s)
        leaping(renewal((Slice(number, 1, 1, 1, number * 3_600_000),)))
    leaping(Close(tab_labels("s1", PLAN), PLAN))
    assert leaping.client.xlen(NAMES.meter("acme")) == 3
