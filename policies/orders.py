"""What operators want of a region, a pool or an engine beyond its catalog: orders, given by people and kept until they
are withdrawn. Plain values.

An order is the wish, not the act: gateways that follow the orders of a region make it so, and go on after a restart of
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    region = "region"
    pool = "pool"
    engine = "engine"


@dataclass(frozen=True, slots=True)
class Target:
    """What an order is about. `name`: of the pool; of an engine its address or instance; empty for a region."""

    scope: Scope
    region: str
    name: str = ""

    def __str__(self) -> str:
        return self.region if self.scope is Scope.region else f"{self.region}/{self.name}"


class OrderKind(StrEnum):
    drain = "drain"
    """Nothing new, and what is there moves away, paced."""
    disable = "disable"
    """Nothing new, and what is there has to go at once."""


class OrderState(StrEnum):
    pending = "pending"
    """It waits for a second person, and has no effect until then."""
    in_force = "in_force"
    stopped = "stopped"
    """Nothing more is moved; nothing new comes. What has moved stays where it is."""


@dataclass(frozen=True, slots=True)
class Order:
    """One wish. There is at most one for each target.

    Attributes:
        id: of 12 hexadecimal digits; a new one whenever the wish changes.
        reason: why, in the operator's words.
        pace_per_s: sessions that are told to move in a second, in the whole region; 0: as fast as links allow.
        within_ms: by when everything should be gone.
        with_clients: clients of the region's gateways, too, are sent to gateways elsewhere (region orders alone).
        given_by, confirmed_by: subjects of the operators' tokens.
        given_at_unix_ms: on the clock of the gateway that took it.
    """

    id: str
    target: Target
    kind: OrderKind
    state: OrderState
    reason: str
    given_by: str
    given_at_unix_ms: int
    confirmed_by: str = ""
    pace_per_s: int = 0
    within_ms: int = 60_000
    with_clients: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """All of a region. `revision` rises with each change."""

    revision: int = 0
    orders: tuple[Order, ...] = ()

    def of(self, target: Target) -> Order | None:
        return next((order for order in self.orders if order.target == target), None)
