"""The quota script on a real Redis, by a clock that the test sets, and what it left there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.limits.script_call import Script, quota_script
from gateway.limits.script_codec import ScriptRules, decode, encode
from gateway.metering.entries import TabLabels
from gateway.metering.stream_entries import decode_event
from gateway.redis_link.keys import TAB_NUMBERS, Names
from policies.plans import CallerPlan, LevelLimits, Principal, Rater, Tier, WhenExhausted, WhenLimiterAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from gateway.limits.calls import Reply, Request
    from gateway.metering.entries import UsageEvent

NAMES = Names("test")
_CLOCK = "redis.call('TIME')"


def script_with_clock() -> Script:
    """The script, but its time is the second argument, in microseconds. The script itself has no such door."""
    text = quota_script().text
    assert text.count(_CLOCK) == 1
    return Script.of(text.replace(_CLOCK, "{ math.floor(ARGV[2] / 1000000), ARGV[2] % 1000000 }"))


class ScriptedQuota:
    """A blocking caller of the script on one Redis (of a client without `decode_responses`)."""

    def __init__(self, client: redis.Redis, rules: ScriptRules | None = None) -> None:
        self.client: Any = client
        self.rules = rules or ScriptRules()
        self._script = script_with_clock()
        client.script_load(self._script.text)

    def carry_out(self, org: str, requests: Sequence[Request], *, now_us: int) -> list[Reply]:
        keys, arguments = encode(NAMES, org, requests, self.rules)
        return decode(self.client.evalsha(self._script.sha, len(keys), *keys, *arguments, str(now_us)))

    def numbers(self, key: str) -> dict[str, int]:
        """A hash of integers: a bucket, or the tally."""
        return {name.decode(): int(value) for name, value in self.client.hgetall(key).items()}

    def tab(self, key: str) -> dict[str, int]:
        """The numbers of a tab, by their names in gateway.redis_link.keys."""
        header = b"\xdc" + len(TAB_NUMBERS).to_bytes(2, "big")
        numbers = msgspec.msgpack.decode(header + self.client.hget(key, "numbers"), type=list[int])
        return dict(zip(TAB_NUMBERS, numbers, strict=True))

    def places(self, key: str) -> dict[str, int]:
        return {
            session.decode(): int(until_ms) for session, until_ms in self.client.zrange(key, 0, -1, withscores=True)
        }

    def events(self, org: str) -> list[UsageEvent]:
        return [decode_event(fields) for _, fields in self.client.xrange(NAMES.meter(org))]


def caller_plan(
    *,
    org: LevelLimits | None = None,
    project: LevelLimits | None = None,
    key: LevelLimits | None = None,
    principal: Principal | None = None,
) -> CallerPlan:
    """A plan that limits nothing but what is given."""
    return CallerPlan(
        name="test",
        principal=principal or Principal(org="acme", project="web", key="00112233aabbccdd"),
        key=key or LevelLimits(),
        project=project or LevelLimits(),
        org=org or LevelLimits(),
        max_session_ms=3_600_000,
        when_exhausted=WhenExhausted.throttle,
        when_limiter_away=WhenLimiterAway.closed,
        rater=Rater.audio_second,
        rating_version="0123456789ab",
        tier=Tier.standard,
    )


def tab_labels(session_id: str = "s1", plan: CallerPlan | None = None, *, rating: str = "") -> TabLabels:
    plan = plan or caller_plan()
    who = plan.principal
    return TabLabels(
        session_id=session_id,
        org=who.org,
        project=who.project,
        key=who.key,
        plan=plan.name,
        rater=plan.rater,
        rating_version=rating or plan.rating_version,
        region="eu-1",
    )
