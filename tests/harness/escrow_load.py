"""Sessions that hold, spend and settle through the real quota.lua, and write down when the script settled what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.limits.calls import Open, Run, Status
from gateway.limits.script_call import quota_script
from gateway.limits.script_codec import ScriptRules, decode, encode
from gateway.metering.entries import Slice, TabLabels
from policies.plans import Level

if TYPE_CHECKING:
    import random

    from gateway.limits.calls import Reply, Request
    from gateway.redis_link.client import RedisLink
    from policies.plans import CallerPlan

_TICK_S = 0.05


class Spending:
    """Sessions of one region that spend as fast as they are let: each tick each of them runs one slice it holds for."""

    def __init__(
        self, link: RedisLink, plan: CallerPlan, name: str, *, num_sessions: int, worst_us: int, dice: random.Random
    ) -> None:
        self.spends: list[tuple[int, int]] = []
        """(Redis's clock in microseconds, amount), as settled."""
        self._link = link
        self._plan = plan
        self._worst_us = worst_us
        self._dice = dice
        self._labels = [self._label(f"{name}-{place}") for place in range(num_sessions)]
        self._slices = [0] * num_sessions
        self._held_us = [0] * num_sessions
        self._is_open = [False] * num_sessions

    def _label(self, session_id: str) -> TabLabels:
        who = self._plan.principal
        return TabLabels(
            session_id, who.org, who.project, who.key, self._plan.name, "audio_second", self._plan.rating_version, "eu"
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(_TICK_S)

    async def tick(self) -> None:
        requests: list[Request] = []
        costs = []
        for place, labels in enumerate(self._labels):
            if not self._is_open[place]:
                costs.append(0)
                requests.append(Open(labels, self._plan, self._worst_us, self._worst_us))
                continue
            cost_us = self._dice.randrange(self._worst_us // 4, self._worst_us + 1) if self._held_us[place] else 0
            costs.append(cost_us)
            piece = Slice(self._slices[place], cost_us, 50, 50, 1_700_000_000_000)
            pieces = (piece,) if cost_us else ()
            requests.append(Run(labels, self._plan, pieces, self._worst_us, self._worst_us, True))
        at_us, replies = await self._call(requests)
        for place, (reply, cost_us) in enumerate(zip(replies, costs, strict=True)):
            self._note(place, reply, cost_us, at_us)

    def _note(self, place: int, reply: Reply, cost_us: int, at_us: int) -> None:
        if not self._is_open[place]:
            self._is_open[place] = reply.status is Status.ok
        elif cost_us:
            self._slices[place] = reply.settled
            self.spends.append((at_us, cost_us))
        self._held_us[place] = reply.held_us

    async def _call(self, requests: list[Request]) -> tuple[int, list[Reply]]:
        """The replies, and when the script ran: its own clock, as it writes it into the bucket."""
        script, names = quota_script(), self._link.names
        keys, arguments = encode(names, self._plan.principal.org, requests, ScriptRules())

        async def call(redis: Any) -> Any:
            pipeline = redis.pipeline(transaction=True)
            pipeline.eval(script.text, len(keys), *keys, *arguments)
            pipeline.hget(names.bucket(self._plan.principal, Level.org), "at_us")
            return await pipeline.execute()

        answer, at_us = await self._link.ask(call)
        return int(at_us), decode(answer)
