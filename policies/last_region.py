"""Whether an order would leave a jurisdiction without a region that takes sessions: then a second person has to agree.
Pure.

A region that is out of reach is no region to rely on: on the day when one of two is lost, emptying the other takes two
people. The one that is to be emptied counts all the same: it may be back in a moment, and the order would stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.orders import OrderState, Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from policies.orders import Order, Target


@dataclass(frozen=True, slots=True)
class EngineParts:
    """Where an engine belongs. `names`: its address and its instance, by which orders may mean it."""

    pool: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class RegionParts:
    """What is known of a region.

    Attributes:
        jurisdictions: by the catalog.
        is_active: its state lets it take sessions.
        is_working: it can be reached, is not found ill, and has slots.
        has_engines: by the catalog; an edge site has none.
        pools: names of its pools, by the catalog and by its engines.
        engines: that run there, those that take sessions where any does; empty: they are not known.
    """

    jurisdictions: frozenset[str]
    is_active: bool
    has_engines: bool
    is_working: bool = True
    pools: frozenset[str] = frozenset()
    engines: tuple[EngineParts, ...] = ()


def jurisdictions_emptied(
    target: Target, regions: Mapping[str, RegionParts], orders: Iterable[Order]
) -> tuple[str, ...]:
    """Name the jurisdictions that have a region which takes sessions, and would have none with an order for `target`.

    A region that is in no jurisdiction stands for itself, by its name: emptying the only region of all takes two too.
    Orders that are pending have no effect and do not count.
    """
    targets = [order.target for order in orders if order.state is not OrderState.pending]
    relied_on = {
        name: region
        for name, region in regions.items()
        if region.is_active and (region.is_working or name == target.region)
    }
    before, after = _taking(relied_on, targets), _taking(relied_on, [*targets, target])
    lost = before - after
    if not lost:
        return ()
    emptied = _jurisdictions(regions, before) - _jurisdictions(regions, after)
    return tuple(sorted(emptied)) or (tuple(sorted(lost)) if not after else ())


def _jurisdictions(regions: Mapping[str, RegionParts], names: Collection[str]) -> set[str]:
    return {jurisdiction for name in names for jurisdiction in regions[name].jurisdictions}


def _taking(regions: Mapping[str, RegionParts], targets: Collection[Target]) -> set[str]:
    return {name for name, region in regions.items() if region.has_engines and _has_capacity(name, region, targets)}


def _has_capacity(name: str, region: RegionParts, targets: Collection[Target]) -> bool:
    """Whether something is left of a region that no order has taken. Of one without known engines its pools count."""
    meant = [target for target in targets if target.region == name]
    if any(target.scope is Scope.region for target in meant):
        return False
    pools = {target.name for target in meant if target.scope is Scope.pool}
    engines = {target.name for target in meant if target.scope is Scope.engine}
    if region.engines:
        return any(engine.pool not in pools and not engine.names & engines for engine in region.engines)
    return not region.pools or bool(region.pools - pools)
