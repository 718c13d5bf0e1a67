"""What gateways tell each other about orders: how far each has come, and which sessions it has. Plain values.

All of a region's gateways are added up by whoever is asked; each one's own report is a few kilobytes at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_IDS = 5
"""Sessions of a group that are named."""
MAX_GROUPS = 500
"""Of one gateway; the smallest are added to one without a name, so that the sum is right."""


class OrderProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an order has come, on one gateway or on all of its region.

    Attributes:
        total: streams that were, or are, on the target since this order was first seen.
        moved: sessions that go on elsewhere. `ended`: those that were over by themselves.
        peers_gone: streams of other regions' gateways that are gone; they move by themselves.
        left: streams that are still there. Of them: `moving` were told to go, `waiting` will be, `stuck` have nowhere
            to go; the key says why.
        started_at_unix_ms: when the first gateway saw it; done_at_unix_ms: when nothing was left; 0: something is.
        clients_left: of this region's gateways, where the order sends them elsewhere; of them `clients_stuck` may
            connect nowhere else.
        gateways: whose figures these are.
        is_late: the time that the order gave is over and something is left.
    """

    order_id: str
    total: int = 0
    moved: int = 0
    ended: int = 0
    peers_gone: int = 0
    moving: int = 0
    waiting: int = 0
    left: int = 0
    stuck: dict[str, int] = {}
    started_at_unix_ms: int = 0
    done_at_unix_ms: int = 0
    clients_left: int = 0
    clients_stuck: int = 0
    gateways: int = 1
    is_late: bool = False


class SessionGroupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that are alike to placement. `region`, `engine`, `pool`: where they are; empty: not known, or nowhere.

    `session_ids`: of some of them. `classes`: machines that they may be on, by region, as far as not all are permitted.
    """

    permitted: tuple[str, ...]
    tier: str
    model: str
    model_version: str
    language: str
    region: str
    engine: str = ""
    pool: str = ""
    count: int = 0
    session_ids: tuple[str, ...] = ()
    classes: tuple[tuple[str, tuple[CapacityClass, ...]], ...] = ()


class GatewayReport(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway's. `answers`: the question about sessions that `groups` answers; empty: none was asked."""

    progress: tuple[OrderProgress, ...] = ()
    answers: str = ""
    groups: tuple[SessionGroupFacts, ...] = ()


class RegionGroups(NamedTuple):
    """`silent`: gateways that are there and did not say in time. `is_store_away`: others may be there."""

    groups: tuple[SessionGroupFacts, ...]
    answered: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    is_store_away: bool = False


def encode_report(report: GatewayReport) -> bytes:
    return msgspec.json.encode(report)


def decode_report(raw: bytes) -> GatewayReport | None:
    """None: it cannot be read; a gateway of another release wrote it."""
    try:
        return msgspec.json.decode(raw, type=GatewayReport)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def summed(reports: Collection[GatewayReport]) -> dict[str, OrderProgress]:
    """By order. It is done when each of the gateways says so; one that says nothing of it has not heard of it yet."""
    sums: dict[str, OrderProgress] = {}
    for report in reports:
        for progress in report.progress:
            known = sums.get(progress.order_id)
            sums[progress.order_id] = progress if known is None else _together(known, progress)
    return {
        order_id: progress
        if progress.gateways == len(reports)
        else msgspec.structs.replace(progress, done_at_unix_ms=0)
        for order_id, progress in sums.items()
    }


def _together(one: OrderProgress, other: OrderProgress) -> OrderProgress:
    stuck = dict(one.stuck)
    for reason, number in other.stuck.items():
        stuck[reason] = stuck.get(reason, 0) + number
    is_done = one.done_at_unix_ms and other.done_at_unix_ms
    return OrderProgress(
        order_id=one.order_id,
        total=one.total + other.total,
        moved=one.moved + other.moved,
        ended=one.ended + other.ended,
        peers_gone=one.peers_gone + other.peers_gone,
        moving=one.moving + other.moving,
        waiting=one.waiting + other.waiting,
        left=one.left + other.left,
        stuck=stuck,
        started_at_unix_ms=min(one.started_at_unix_ms, other.started_at_unix_ms),
        done_at_unix_ms=max(one.done_at_unix_ms, other.done_at_unix_ms) if is_done else 0,
        clients_left=one.clients_left + other.clients_left,
        clients_stuck=one.clients_stuck + other.clients_stuck,
        gateways=one.gateways + other.gateways,
        is_late=one.is_late or other.is_late,
    )


def few(groups: list[SessionGroupFacts]) -> tuple[SessionGroupFacts, ...]:
    """The largest, and the rest as one."""
    in_order = sorted(groups, key=lambda group: -group.count)
    kept, rest = in_order[:MAX_GROUPS], in_order[MAX_GROUPS:]
    if not rest:
        return tuple(kept)
    others = SessionGroupFacts(
        permitted=(), tier="", model="", model_version="", language="", region="", count=sum(one.count for one in rest)
    )
    return (*kept, others)
