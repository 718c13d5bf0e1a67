"""What an order would do, without doing it: which sessions would go where, and whether there is room."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from policies.drain_plan import DrainPlan, SessionGroup, plan_drain
from policies.last_region import jurisdictions_emptied
from policies.orders import OrderKind, Scope, Target
from policies.plans import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.operations.places import EnginePlace, Places
    from policies.orders import Orders
    from policies.routing import RoutingWeights
    from regions.orders.reports import RegionGroups, SessionGroupFacts

_DECIMALS = 1


class Sessions(Protocol):
    """What is asked of a regions.orders.book.OrderBook."""

    @property
    def orders(self) -> Orders: ...

    async def groups(self) -> RegionGroups: ...


class DryRun:
    """By the sessions of all gateways of this region, and by what this one knows of all regions."""

    def __init__(
        self, places: Places, sessions: Sessions, weights: RoutingWeights, snapshot_age_ms: Callable[[], int]
    ) -> None:
        self._places = places
        self._sessions = sessions
        self._weights = weights
        self._snapshot_age_ms = snapshot_age_ms
        self._turn = asyncio.Lock()

    async def plan(self, target: Target, kind: OrderKind, *, pace_per_s: int) -> dict[str, Any]:
        """As JSON; docs/operations.md says what it means. Waits some seconds at most for what other gateways say, and
        for its turn: anybody may ask, and one at a time costs enough.
        """
        async with self._turn:
            return await self._plan(target, kind, pace_per_s=pace_per_s)

    async def _plan(self, target: Target, kind: OrderKind, *, pace_per_s: int) -> dict[str, Any]:
        said = await self._sessions.groups()
        engines = self._places.engines()
        meant = [group for group in said.groups if _is_meant(group, target, engines)]
        after = self._places.after(target, kind)
        # What streams of peers' gateways permit is known to those gateways: they place them, and nothing here may.
        ours = [group for group in meant if group.permitted or not group.tier]
        groups = _merged([group for group in ours if group.tier])
        unknown = sum(group.count for group in ours if not group.tier)
        is_complete = not said.silent and not said.is_store_away and not unknown
        # Seconds of arithmetic where there are thousands of kinds of sessions; results must not wait for it.
        plan = await asyncio.to_thread(plan_drain, groups, after, self._weights)
        emptied = jurisdictions_emptied(target, self._places.parts(), self._sessions.orders.orders)
        return {
            "target": {"scope": target.scope.value, "region": target.region, "name": target.name},
            "kind": kind.value,
            "sessions": plan.sessions,
            "sessions_short": plan.sessions_short,
            "suffices": plan.sessions_short == 0 and is_complete,
            "is_complete": is_complete,
            "sessions_unknown": unknown,
            "sessions_of_other_regions": self._of_others(target, engines, ours),
            "needs_second_person_for": list(emptied),
            "moving_s_at_pace": -(-plan.sessions // pace_per_s) if pace_per_s else None,
            "gateways_asked": list(said.answered),
            "gateways_silent": list(said.silent),
            "snapshot_age_ms": self._snapshot_age_ms(),
            **plan_json(plan),
        }

    def _of_others(self, target: Target, engines: Sequence[EnginePlace], ours: Sequence[SessionGroupFacts]) -> int:
        """Streams on the engines that are meant which no gateway of this region has: their own gateways move them."""
        if target.region != self._places.here:
            return 0
        used = sum(engine.load.slots_used for engine in engines if engine.load is not None and engine.is_meant(target))
        return max(0, used - sum(group.count for group in ours))


def plan_json(plan: DrainPlan) -> dict[str, Any]:
    """`rows`, `shortfalls` and `policy_sets`."""
    return {
        "rows": [
            {
                "count": row.count,
                "to": row.to_region,
                **_group_json(row.group),
                "score_ms": round(row.why.score, _DECIMALS),
                "parts_ms": {part: round(value, _DECIMALS) for part, value in row.why.parts.items()},
                "free_slots": row.why.free_slots,
                "kept_current": row.was_kept,
            }
            for row in plan.rows
        ],
        "shortfalls": [
            {
                "count": shortfall.count,
                **_group_json(shortfall.group),
                "ruled_out": {name: reason.value for name, reason in sorted(shortfall.ruled_out.items())},
            }
            for shortfall in plan.shortfalls
        ],
        "policy_sets": [
            {
                "permitted": sorted(room.permitted),
                "slots_needed": room.slots_needed,
                "slots_free": room.slots_free,
                "slots_short": room.slots_short,
                "suffices": room.suffices,
            }
            for room in plan.sets
        ],
    }


def _group_json(group: SessionGroup) -> dict[str, Any]:
    return {
        "from": group.region,
        "tier": group.tier.value,
        "permitted": sorted(group.permitted),
        "model": group.model,
        "version": group.model_version,
        "language": group.language,
    }


def _is_meant(group: SessionGroupFacts, target: Target, engines: Sequence[EnginePlace]) -> bool:
    if group.region != target.region:
        return False
    match target.scope:
        case Scope.region:
            return True
        case Scope.pool:
            return group.pool == target.name
        case Scope.engine:
            return any(group.engine in engine.names and target.name in engine.names for engine in engines)


def _merged(found: Sequence[SessionGroupFacts]) -> list[SessionGroup]:
    """Those of all gateways and engines that placement cannot tell apart as one."""
    counts: Counter[SessionGroup] = Counter()
    for facts in found:
        counts[_group(facts)] += facts.count
    return [replace(group, count=count) for group, count in counts.items()]


def _group(facts: SessionGroupFacts) -> SessionGroup:
    """Of none yet."""
    return SessionGroup(
        permitted=frozenset(facts.permitted),
        tier=Tier(facts.tier),
        model=facts.model,
        model_version=facts.model_version,
        language=facts.language,
        region=facts.region,
        count=0,
        classes=tuple((name, frozenset(classes)) for name, classes in facts.classes),
    )
