"""The regions, pools and engines that operators can name, and what is known of them now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from gateway.operations.refusals import ActReason, refused
from policies.drain_plan import without_engines
from policies.last_region import EngineParts, RegionParts
from policies.order_effects import order_on_engine, order_on_region
from policies.orders import OrderKind, Orders, Scope, Target
from policies.routing_facts import CapacityClass, Health, ModelFacts, RegionSnapshot, RegionState
from regions.discovery.interface import EngineAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import LoadReport
    from regions.facts import Facts
    from regions.region_links import RegionLink

_MAX_NAMES_TOLD = 20


class EnginePlaces(Protocol):
    """What is read of a regions.links.pool.LinkPool."""

    @property
    def links(self) -> Sequence[RegionLink]: ...
    @property
    def members(self) -> Sequence[EngineAddress]: ...


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """One engine of this region. `load` None: its link does not stand."""

    facts: EngineAddress
    pool: str
    capacity: CapacityClass
    load: LoadReport | None

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.facts.address, self.facts.instance}) - {""}

    @property
    def takes_sessions(self) -> bool:
        return self.load is not None and not self.load.is_draining

    def is_meant(self, target: Target) -> bool:
        match target.scope:
            case Scope.region:
                return True
            case Scope.pool:
                return target.name == self.pool
            case Scope.engine:
                return target.name in self.names


class Places:
    """As one gateway knows them. `engines`: of its own region."""

    def __init__(self, facts: Facts, engines: EnginePlaces, orders: Callable[[], Orders]) -> None:
        self._facts = facts
        self._engines = engines
        self._orders = orders

    @property
    def here(self) -> str:
        return self._facts.here

    @property
    def digest(self) -> str:
        return self._facts.catalog.digest

    def engines(self) -> list[EnginePlace]:
        known = {member.address: member for member in self._engines.members}
        region = self._facts.region(self.here)
        return [
            EnginePlace(
                facts=(facts := known.get(link.address, EngineAddress(link.address))),
                pool=link.load.pool if link.load is not None else facts.pool,
                capacity=facts.capacity if region is None or link.load is None else region.capacity_of(link),
                load=link.load,
            )
            for link in self._engines.links
        ]

    def pools(self) -> list[str]:
        """By the catalog, then what engines say beyond it."""
        spec = self._facts.catalog.regions.get(self.here)
        named = [] if spec is None else [pool.name for pool in spec.pools]
        return list(dict.fromkeys([*named, *(engine.pool for engine in self.engines() if engine.pool)]))

    def target(self, scope: Scope, region: str, name: str) -> Target:
        """What is meant; an empty region is this one. Raises ActRefused: there is no such thing."""
        region = region or self.here
        regions = [facts.name for facts in self._facts.snapshot.regions]
        if region not in regions:
            raise refused(ActReason.unknown_target, f"there is no region {region}; known: {_listed(regions)}")
        if scope is Scope.region:
            return Target(scope, region)
        if region != self.here:
            raise refused(
                ActReason.unknown_target,
                f"this gateway is one of {self.here}: ask a gateway of {region} about its {scope.value}s",
            )
        if scope is Scope.pool:
            names = self.pools()
        else:
            names = [engine.facts.address for engine in self.engines()]
            names += [engine.facts.instance for engine in self.engines() if engine.facts.instance]
        if name not in names:
            raise refused(
                ActReason.unknown_target, f"there is no {scope.value} {name} in {region}; known: {_listed(names)}"
            )
        return Target(scope, region, name)

    def parts(self) -> dict[str, RegionParts]:
        """What the rule about the last region asks."""
        known = self.engines()
        # Where none takes sessions at this moment, as while they are started anew, each of them may soon.
        taking = [engine for engine in known if engine.takes_sessions] or known
        engines = tuple(EngineParts(engine.pool, engine.names) for engine in taking)
        parts = {}
        for region in self._facts.snapshot.regions:
            spec = self._facts.catalog.regions.get(region.name)
            parts[region.name] = RegionParts(
                jurisdictions=frozenset() if spec is None else spec.jurisdictions,
                is_active=region.state is RegionState.active,
                has_engines=region.has_engines,
                is_working=region.is_reachable and region.health is not Health.tripped and region.slots_total > 0,
                pools=frozenset() if spec is None else frozenset(pool.name for pool in spec.pools),
                engines=engines if region.name == self.here else (),
            )
        return parts

    def after(self, target: Target, kind: OrderKind) -> RegionSnapshot:
        """The regions as they are once this is in force."""
        snapshot = self._facts.snapshot
        state = RegionState.draining if kind is OrderKind.drain else RegionState.disabled
        regions = []
        for region in snapshot.regions:
            if region.name != target.region:
                regions.append(region)
            elif target.scope is Scope.region:
                regions.append(replace(region, state=state))
            else:
                going = [engine for engine in self.engines() if engine.takes_sessions and engine.is_meant(target)]
                regions.append(without_engines(region, [_slots(engine) for engine in going]))
        return RegionSnapshot(snapshot.taken_at_ms, tuple(regions))

    def engines_json(self) -> list[dict[str, Any]]:
        orders = self._orders()
        return [
            {
                "address": engine.facts.address,
                "instance": engine.facts.instance,
                "pool": engine.pool,
                "capacity": engine.capacity.value,
                "zone": engine.facts.zone,
                "is_connected": engine.load is not None,
                "is_draining": engine.load is not None and engine.load.is_draining,
                "slots_total": 0 if engine.load is None else engine.load.slots_total,
                "slots_used": 0 if engine.load is None else engine.load.slots_used,
                "leaves_in_ms": 0 if engine.load is None else engine.load.leaves_in_ms,
                "order": self._order_id(engine, orders),
            }
            for engine in self.engines()
        ]

    def pools_json(self) -> list[dict[str, Any]]:
        orders, engines = self._orders(), self.engines()
        spec = self._facts.catalog.regions.get(self.here)
        capacities = {} if spec is None else {pool.name: pool.capacity for pool in spec.pools}
        rows = []
        for name in self.pools():
            its = [engine for engine in engines if engine.pool == name]
            order = orders.of(Target(Scope.pool, self.here, name)) or orders.of(Target(Scope.region, self.here))
            capacity = capacities.get(name) or next((engine.capacity for engine in its), CapacityClass.reserved)
            rows.append(
                {
                    "name": name,
                    "capacity": capacity.value,
                    "engines": len(its),
                    "engines_taking": sum(engine.takes_sessions for engine in its),
                    "slots_total": sum(engine.load.slots_total for engine in its if engine.load is not None),
                    "slots_used": sum(engine.load.slots_used for engine in its if engine.load is not None),
                    "order": None if order is None else order.id,
                }
            )
        return rows

    def _order_id(self, engine: EnginePlace, orders: Orders) -> str | None:
        order = order_on_region(orders, self.here) or order_on_engine(
            orders,
            self.here,
            pool=engine.pool,
            address=engine.facts.address,
            instance=engine.facts.instance,
        )
        return None if order is None else order.id


def _slots(engine: EnginePlace) -> tuple[tuple[ModelFacts, ...], int, int]:
    load = engine.load
    if load is None:
        return (), 0, 0
    models = tuple(
        ModelFacts(model.name, model.version, model.language, model.slots_total, model.slots_total - model.slots_used)
        for model in load.models
    )
    return models, load.slots_total, load.slots_total - load.slots_used


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = len(names) - _MAX_NAMES_TOLD
    return ", ".join(names[:_MAX_NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
