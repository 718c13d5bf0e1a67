"""The lab's operator: gives orders at gateways' admin listeners, confirms them as a second person, and watches them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from regions.lab.fault_spec import FaultSpec

_ASK_S = 5.0
_POLL_S = 0.1
_RETRY_S = 0.3
_GIVING_S = 15.0
_FIRST, _SECOND = "ada", "grace"
"""Subjects of the two people who give orders."""


class OrderRefused(Exception):
    """No gateway took the order."""


@dataclass
class OrderRun:
    """One order from its giving to its end. Times are monotonic; `done_at_s` None: something was left."""

    target: str
    act: str
    given_at_s: float
    id: str = ""
    outcome: str = ""
    done_at_s: float | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)

    def as_figures(self) -> dict[str, Any]:
        """As the report prints it."""
        took_s = None if self.done_at_s is None else round(self.done_at_s - self.given_at_s, 2)
        return {
            "target": self.target,
            "act": self.act,
            "outcome": self.outcome,
            "done_within_s": took_s,
            "progress": dict(self.progress),
        }


@dataclass(frozen=True, slots=True)
class OrderedTarget:
    """What an order is about, in the words of the admin listener."""

    scope: str
    region: str
    name: str = ""


class Operator:
    """Gives orders. `admins`: base URLs of the admin listeners at which a region's orders can be given now, the best
    first; `token`: mints one of a subject.
    """

    def __init__(self, admins: Callable[[str], Sequence[str]], token: Callable[[str], str]) -> None:
        self._admins = admins
        self._token = token
        self.runs: list[OrderRun] = []

    async def give(self, target: OrderedTarget, fault: FaultSpec, *, name: str) -> OrderRun:
        """Give it, again and again while no gateway can take it. Raises OrderRefused."""
        run = OrderRun(name, fault.act, time.monotonic())
        self.runs.append(run)
        if fault.act in ("drain", "disable"):
            answer = await self._until_taken(target.region, "/v1/orders", _as_json(target, fault))
            run.id = answer["order"]["id"]
            if answer["outcome"] == "pending":
                answer = await self._until_taken(target.region, f"/v1/orders/{run.id}/confirm", {}, subject=_SECOND)
        else:
            await self._find(target, run)
            what = "withdraw" if fault.act == "undrain" else "stop"
            answer = await self._until_taken(target.region, f"/v1/orders/{run.id}/{what}", {})
        run.outcome = str(answer["outcome"])
        return run

    async def watch(self, target: OrderedTarget, run: OrderRun, *, within_s: float) -> bool:
        """Until nothing is left: whether it came to that in time."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            with contextlib.suppress(OrderRefused):
                order = await self._ask(target.region, "GET", f"/v1/orders/{run.id}", None, "")
                run.progress = order.get("progress") or {}
                if run.progress.get("done_at_unix_ms"):
                    run.done_at_s = time.monotonic()
                    return True
            await asyncio.sleep(_POLL_S)
        return False

    async def is_serving(self, region: str, address: str) -> bool:
        """Whether a gateway of the region knows the engine at this address as one that takes sessions."""
        try:
            engines = (await self._ask(region, "GET", "/v1/engines", None, ""))["engines"]
        except OrderRefused:
            return False
        return any(engine["address"] == address and not engine["is_draining"] for engine in engines)

    async def _find(self, target: OrderedTarget, run: OrderRun) -> None:
        orders = (await self._ask(target.region, "GET", "/v1/orders", None, ""))["orders"]
        wanted = {"scope": target.scope, "region": target.region, "name": target.name}
        found = [order["id"] for order in orders if order["target"] == wanted]
        if not found:
            raise OrderRefused(f"there is no order about {run.target}")
        run.id = found[0]

    async def _until_taken(
        self, region: str, path: str, body: dict[str, Any], *, subject: str = _FIRST
    ) -> dict[str, Any]:
        until_s = time.monotonic() + _GIVING_S
        while True:
            try:
                return await self._ask(region, "POST", path, body, subject)
            except OrderRefused:
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _ask(
        self, region: str, method: str, path: str, body: dict[str, Any] | None, subject: str
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token(subject)}"} if subject else {}
        why = "no gateway runs"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as http:
            for admin in self._admins(region):
                try:
                    async with http.request(method, admin + path, json=body, headers=headers) as response:
                        answer: dict[str, Any] = await response.json()
                        if response.ok:
                            return answer
                        why = f"{method} {path}: {response.status} {answer.get('error', answer)}"
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    why = f"{method} {path}: {type(error).__name__}"
        raise OrderRefused(why)


def _as_json(target: OrderedTarget, fault: FaultSpec) -> dict[str, Any]:
    return {
        "scope": target.scope,
        "region": target.region,
        "name": target.name,
        "kind": fault.act,
        "reason": "a game day",
        "pace_per_s": fault.pace_per_s,
        "within_ms": round(1_000 * fault.within_s),
        "with_clients": fault.with_clients,
    }
