"""What orders mean for a region and for an engine, and which of two sets of orders holds. Pure.

Orders that wait for a second person mean nothing. Of an order that was stopped only this is left: nothing new comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.orders import OrderKind, OrderState, Scope
from policies.routing_facts import RegionState, RuledOut

if TYPE_CHECKING:
    from policies.orders import Order, Orders
    from policies.routing_facts import RouteDecision

NOWHERE_ELSE = "no_permitted_region"
"""Why a session stays: its policy set holds no other region."""
_MS_PER_S = 1_000
_NO_OTHER = frozenset({RuledOut.outside_policy, RuledOut.not_in_catalog, RuledOut.no_engines})


@dataclass(frozen=True, slots=True)
class RegionWish:
    """What orders want of one region, as one gateway carries it out.

    Attributes:
        is_stopped: what is there stays.
        move_gap_ms: between two sessions that one gateway moves out; 0: as links allow.
    """

    state: RegionState = RegionState.active
    is_stopped: bool = False
    move_gap_ms: int = 0


NO_WISH = RegionWish()


def is_effective(order: Order) -> bool:
    return order.state is not OrderState.pending


def order_on_region(orders: Orders, region: str) -> Order | None:
    """The order about the whole region that has an effect."""
    about = (order for order in orders.orders if order.target.scope is Scope.region and order.target.region == region)
    return next(filter(is_effective, about), None)


def region_state(orders: Orders, region: str) -> RegionState:
    """What orders want it to be; the stricter of this and of what its catalog says holds."""
    order = order_on_region(orders, region)
    if order is None:
        return RegionState.active
    is_disabled = order.kind is OrderKind.disable and order.state is OrderState.in_force
    return RegionState.disabled if is_disabled else RegionState.draining


def region_wish(orders: Orders, region: str, *, sharers: int) -> RegionWish:
    """`sharers`: gateways that move sessions out of it, and so share the order's pace."""
    order = order_on_region(orders, region)
    if order is None:
        return NO_WISH
    gap_ms = 0 if order.kind is OrderKind.disable else move_gap_ms(order.pace_per_s, sharers=sharers)
    return RegionWish(region_state(orders, region), order.state is OrderState.stopped, gap_ms)


def order_on_engine(orders: Orders, here: str, *, pool: str, address: str, instance: str) -> Order | None:
    """The strictest order that has an effect on an engine of the region `here`, about its pool or about itself."""
    about = [
        order
        for order in orders.orders
        if order.target.region == here
        and is_effective(order)
        and (
            (order.target.scope is Scope.pool and order.target.name == pool != "")
            or (order.target.scope is Scope.engine and order.target.name in (address, instance) and order.target.name)
        )
    ]
    return max(about, key=_strictness, default=None)


def move_gap_ms(pace_per_s: int, *, sharers: int) -> int:
    """Between two sessions that one of so many gateways tells to move; 0: no pace is asked for."""
    return 0 if pace_per_s <= 0 else -(-_MS_PER_S * max(1, sharers) // pace_per_s)


def stays_because(elsewhere: RouteDecision, *, leaving: str) -> str:
    """Why a session stays where it is: of the regions that it might go to, what the likeliest one lacks.

    Args:
        elsewhere: what is decided without the region that it is to leave, and it has no candidate.
        leaving: that region.
    """
    reasons = {reason for region, reason in elsewhere.ruled_out.items() if region != leaving} - _NO_OTHER
    return max(reasons, key=list(RuledOut).index).value if reasons else NOWHERE_ELSE


def _strictness(order: Order) -> tuple[bool, bool]:
    return order.state is OrderState.in_force, order.kind is OrderKind.disable
