"""What becomes of orders that nobody confirms, and of acts while the store is away or contested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.operations.acts import PENDING_MS, ActParts, OrderActs
from gateway.operations.audit import AuditLog
from gateway.operations.audit_spool import AuditSpool
from gateway.operations.bodies import OrderBody
from gateway.operations.metrics import OperationsMetrics
from gateway.operations.operators import Operator
from gateway.operations.refusals import ActRefused
from policies.last_region import RegionParts
from policies.orders import Order, OrderKind, Orders, OrderState, Scope, Target
from regions.orders.errors import OrdersMalformed, RevisionConflict, StoreAway, TooManyOrders

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit

ADA, BOB = Operator("ada"), Operator("bob")
HERE = Target(Scope.region, "ie")
BODY = OrderBody(scope=Scope.region, kind=OrderKind.drain, reason="why")


class Book:
    """Orders in memory; `fails` instead of the next change."""

    def __init__(self) -> None:
        self.orders = Orders()
        self.fails: Exception | None = None
        self.others: tuple[Order, ...] | None = None
        """What somebody else writes first: the edit is asked again."""

    async def change(self, edit: Callable[[Orders], tuple[Order, ...]]) -> Orders:
        if self.fails is not None:
            raise self.fails
        wanted = edit(self.orders)
        if self.others is not None:
            self.orders, self.others = Orders(self.orders.revision + 1, self.others), None
            wanted = edit(self.orders)
        self.orders = Orders(self.orders.revision + 1, wanted)
        return self.orders


class Desk:
    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.book = Book()
        self.spool = AuditSpool(None)
        audit = AuditLog(None, self.spool, OperationsMetrics(CollectorRegistry()), now_ms=lambda: self.now_ms)
        only = {"ie": RegionParts(frozenset({"eu"}), is_active=True, has_engines=True)}
        self.acts = OrderActs(ActParts(self.book, audit, lambda: only, lambda: "d1", lambda: self.now_ms, "ie/1"))

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(event.act.value, event.outcome) for event in self.spool.events]


async def test_an_order_that_nobody_confirms_in_time_is_gone_and_that_is_written_down() -> None:
    desk = Desk()
    done = await desk.acts.give(ADA, HERE, BODY)
    assert (done.outcome, done.emptied) == ("pending", ("eu",))
    desk.now_ms += PENDING_MS - 1
    assert await desk.acts.expire() == 0
    desk.now_ms += 1
    assert desk.acts.standing() == ()
    assert await desk.acts.expire() == 1
    assert desk.book.orders.orders == ()
    assert desk.outcomes == [("give", "pending"), ("expire", "expired")]


async def test_an_expired_order_cannot_be_confirmed() -> None:
    desk = Desk()
    done = await desk.acts.give(ADA, HERE, BODY)
    assert done.order is not None
    desk.now_ms += PENDING_MS
    with pytest.raises(ActRefused, match="expired"):
        await desk.acts.confirm(BOB, done.order.id)
    assert desk.outcomes[-1] == ("confirm", "unknown_order")


async def test_a_second_persons_same_order_is_no_confirmation() -> None:
    desk = Desk()
    await desk.acts.give(ADA, HERE, BODY)
    done = await desk.acts.give(BOB, HERE, BODY)
    assert (done.outcome, desk.book.orders.orders[0].state) == ("pending", OrderState.pending)


async def test_an_act_is_decided_anew_by_what_others_wrote_meanwhile() -> None:
    desk = Desk()
    done = await desk.acts.give(ADA, HERE, BODY)
    assert done.order is not None
    desk.book.others = ()
    with pytest.raises(ActRefused, match="unknown_order"):
        await desk.acts.confirm(BOB, done.order.id)


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (StoreAway("timed_out"), "store_away", 503),
        (OrdersMalformed("x"), "store_away", 503),
        (RevisionConflict("x"), "conflict", 409),
        (TooManyOrders("x"), "too_many_orders", 409),
    ],
)
async def test_an_act_that_cannot_be_kept_is_refused_and_written_down(
    error: Exception, reason: str, status: int
) -> None:
    desk = Desk()
    desk.book.fails = error
    with pytest.raises(ActRefused) as refused:
        await desk.acts.give(ADA, HERE, BODY)
    assert (refused.value.reason, refused.value.status) == (reason, status)
    (event,) = desk.spool.events
    assert (event.who, event.target, event.outcome, event.is_refused, event.catalog_digest) == (
        "ada",
        "ie",
        reason,
        True,
        "d1",
    )


async def test_what_was_before_and_after_is_written_down() -> None:
    desk = Desk()
    done = await desk.acts.give(ADA, HERE, BODY)
    assert done.order is not None
    await desk.acts.confirm(BOB, done.order.id, "agreed")
    await desk.acts.stop(BOB, done.order.id)
    event = desk.spool.events[-1]
    assert (event.before, event.after) == ("drain in_force within 60 s", "drain stopped within 60 s")
    assert desk.spool.events[1].why == "agreed"
