"""The limiter's calls: requests of one org or of several, to Redis and back, each org with its own outcome."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from gateway.limits.calls import Status
from gateway.limits.script_call import quota_script, run_script, run_scripts
from gateway.limits.script_codec import decode, encode
from gateway.redis_link.errors import AwayReason, RedisAway, away_reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from gateway.limits.calls import Reply, Request
    from gateway.limits.metrics import LimiterMetrics
    from gateway.limits.script_call import Script
    from gateway.limits.script_codec import ScriptRules
    from gateway.redis_link.client import Answer, RedisLink

    Batch = tuple[str, Sequence[Request]]


class QuotaCalls:
    """An org is written to the set of all orgs before anything of it is, once for each Redis that was met."""

    def __init__(
        self, link: RedisLink, rules: ScriptRules, metrics: LimiterMetrics, *, script: Script | None = None
    ) -> None:
        self._link = link
        self._rules = rules
        self._metrics = metrics
        self._script = script or quota_script()
        self._registered: set[str] = set()
        self._losses = link.losses

    async def one(self, org: str, requests: Sequence[Request]) -> list[Reply]:
        """Raises RedisAway."""
        self._count(requests)
        await self._register([org])
        keys, arguments = encode(self._link.names, org, requests, self._rules)
        answer = await self._timed(lambda redis: run_script(redis, self._script, keys, arguments))
        outcome = self._heard(org, answer, len(requests))
        if isinstance(outcome, RedisAway):
            raise outcome
        return outcome

    async def many(self, batches: Sequence[Batch]) -> list[list[Reply] | RedisAway]:
        """One round trip; the outcome of each batch, in their order. Raises RedisAway: of none is anything known."""
        for _, requests in batches:
            self._count(requests)
        await self._register([org for org, _ in batches])
        encoded = [encode(self._link.names, org, requests, self._rules) for org, requests in batches]
        answers = await self._timed(lambda redis: run_scripts(redis, self._script, encoded))
        return [
            self._heard(org, answer, len(requests)) for answer, (org, requests) in zip(answers, batches, strict=True)
        ]

    def _heard(self, org: str, answer: Any, num_requests: int) -> list[Reply] | RedisAway:
        outcome = _outcome(answer, num_requests)
        if isinstance(outcome, list) and any(reply.status is Status.unknown_tab for reply in outcome):
            self._registered.discard(org)  # who emptied a server that runs on emptied that set too
        return outcome

    def _count(self, requests: Sequence[Request]) -> None:
        for kind, count in Counter(map(type, requests)).items():
            self._metrics.requests.labels(kind.__name__.lower()).inc(count)

    async def _timed(self, call: Callable[[Redis], Awaitable[Answer]]) -> Answer:
        began_s = time.perf_counter()
        self._metrics.calls.inc()
        try:
            return await self._link.ask(call)
        finally:
            self._metrics.call_elapsed.observe(time.perf_counter() - began_s)

    async def _register(self, orgs: Sequence[str]) -> None:
        if self._losses != self._link.losses:
            self._losses = self._link.losses
            self._registered.clear()
        new = [org for org in orgs if org not in self._registered]
        if new:
            await self._link.ask(lambda redis: redis.sadd(self._link.names.orgs, *new))
            self._registered.update(new)


def _outcome(answer: Any, num_requests: int) -> list[Reply] | RedisAway:
    """What a run of the script said; a script that answers something else is not ours."""
    if isinstance(answer, RedisError):
        return RedisAway(away_reason(answer), type(answer).__name__)
    try:
        replies = decode(answer)
    except (IndexError, TypeError, ValueError) as error:
        return RedisAway(AwayReason.broken, type(error).__name__)
    return replies if len(replies) == num_requests else RedisAway(AwayReason.broken, "answers are missing")
