"""An order in a few words, for audit events, and as JSON, for those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from policies.orders import Order
    from regions.orders.reports import OrderProgress


def in_words(order: Order | None) -> str:
    """Such as `drain in_force 10/s within 60 s`; empty where there is none."""
    if order is None:
        return ""
    words = [order.kind.value, order.state.value]
    if order.pace_per_s:
        words.append(f"{order.pace_per_s}/s")
    words.append(f"within {order.within_ms / 1_000:g} s")
    if order.with_clients:
        words.append("with clients")
    return " ".join(words)


def order_json(order: Order, progress: OrderProgress | None, *, expires_at_unix_ms: int | None) -> dict[str, Any]:
    """`expires_at_unix_ms`: of one that waits for a second person."""
    return {
        "id": order.id,
        "target": {"scope": order.target.scope.value, "region": order.target.region, "name": order.target.name},
        "kind": order.kind.value,
        "state": order.state.value,
        "reason": order.reason,
        "given_by": order.given_by,
        "confirmed_by": order.confirmed_by,
        "given_at_unix_ms": order.given_at_unix_ms,
        "expires_at_unix_ms": expires_at_unix_ms,
        "pace_per_s": order.pace_per_s,
        "within_ms": order.within_ms,
        "with_clients": order.with_clients,
        "progress": None if progress is None else msgspec.to_builtins(progress),
    }
