"""More sessions than the limit serves, on the real script: no window of any length has more than burst and rate allow.

The same load, charged at each session's end as limiters do that know a cost only afterwards, stands beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import redis

from gateway.limits.calls import Close, Open, Request, Run, Status
from gateway.limits.script_codec import ScriptRules
from gateway.metering.entries import Slice
from policies.compute_quota import Bucket
from policies.plans import MICRO, LevelLimits, Rate
from tests.harness.quota import ScriptedQuota, caller_plan, tab_labels
from tests.harness.window_checker import worst_excess_us

if TYPE_CHECKING:
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

RATE = Rate(per_s=2 * MICRO, burst=20 * MICRO)
PLAN = caller_plan(org=LevelLimits(compute=RATE))
START_US = 1_795_780_800 * MICRO
STEP_US = 200_000
NUM_SESSIONS = 48
SESSION_STEPS = 150
MOST_A_STEP_US = 50_000
"""What a step of audio can cost at worst, and is reserved for it. It costs a fifth of that to all of it."""
WANTED_US = 6 * MOST_A_STEP_US

Spends = list[tuple[int, int]]


@dataclass
class Session:
    name: str
    number: int = 0
    granted_us: int | None = None
    spent_us: int = 0
    unsettled_us: int = 0
    steps: int = 0
    sent: Slice | None = None
    costs: random.Random = field(default_factory=random.Random)

    def work(self, now_us: int, spends: Spends) -> None:
        """A step of audio, if its worst cost is covered."""
        if self.granted_us is None or self.spent_us + MOST_A_STEP_US > self.granted_us:
            return
        cost_us = self.costs.randint(MOST_A_STEP_US // 5, MOST_A_STEP_US)
        spends.append((now_us, cost_us))
        self.spent_us += cost_us
        self.unsettled_us += cost_us
        self.steps += 1

    def request(self, now_us: int) -> Request:
        labels = tab_labels(self.name, PLAN)
        if self.granted_us is None:
            return Open(labels, PLAN, WANTED_US, MOST_A_STEP_US)
        piece = Slice(self.number, self.unsettled_us, 1_000, 1_000, now_us // 1_000)
        self.number, self.unsettled_us = self.number + 1, 0
        if self.steps >= SESSION_STEPS:
            return Close(labels, PLAN, (piece,))
        return Run(labels, PLAN, (piece,), WANTED_US, MOST_A_STEP_US, renews_lease=True)


def under_the_script(client: redis.Redis, seconds: int) -> Spends:
    script = ScriptedQuota(client, ScriptRules())
    dice = random.Random(4)
    names = iter(range(100_000))
    sessions = [Session(f"s{next(names)}", costs=dice) for _ in range(NUM_SESSIONS)]
    spends: Spends = []
    for step in range(seconds * MICRO // STEP_US):
        now_us = START_US + step * STEP_US
        for session in sessions:
            session.work(now_us, spends)
        due = [place for place in range(NUM_SESSIONS) if (place + step) % 5 == 0 or not sessions[place].granted_us]
        requests = [sessions[place].request(now_us) for place in due]
        for place, request, reply in zip(due, requests, script.carry_out("acme", requests, now_us=now_us), strict=True):
            if isinstance(request, Close):
                sessions[place] = Session(f"s{next(names)}", costs=dice)
            elif isinstance(request, Run) or reply.status is Status.ok:
                sessions[place].granted_us = reply.settled_us + reply.held_us
    return spends


def charged_at_the_end(seconds: int) -> Spends:
    """Whoever comes is admitted while the bucket is not in debt, and charged when done."""
    dice = random.Random(4)
    bucket = Bucket.new(RATE, now_us=START_US)
    sessions: list[Session | None] = [None] * NUM_SESSIONS
    spends: Spends = []
    for step in range(seconds * MICRO // STEP_US):
        now_us = START_US + step * STEP_US
        bucket.refill(RATE, now_us=now_us)
        for place, session in enumerate(sessions):
            if session is None:
                if bucket.may_hold(MOST_A_STEP_US):
                    sessions[place] = Session("", granted_us=2**53, costs=dice)
                continue
            session.work(now_us, spends)
            if session.steps >= SESSION_STEPS:
                bucket.settle(session.spent_us, out_of_us=0)
                sessions[place] = None
    return spends


def test_no_window_has_more_than_burst_and_rate_allow(redis_server: RedisServer, is_long: bool) -> None:
    seconds = 1_800 if is_long else 90
    with redis.Redis(host="127.0.0.1", port=redis_server.port, socket_timeout=5) as client:
        spends = under_the_script(client, seconds)
    used_us, allowed_us = sum(cost_us for _, cost_us in spends), RATE.burst + RATE.per_s * seconds
    assert worst_excess_us(spends, per_s=RATE.per_s, burst=RATE.burst) <= 0
    assert used_us >= 0.9 * allowed_us, "the limit is not kept by idling"
    at_the_end = worst_excess_us(charged_at_the_end(seconds), per_s=RATE.per_s, burst=RATE.burst)
    print(f"used {used_us / allowed_us:.1%}; charged at the end: {at_the_end / MICRO:.0f} compute-seconds too many")
    assert at_the_end > RATE.burst
